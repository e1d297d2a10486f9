"""Two builds of one source compared, and builds repeated from their .buildinfo, with real tools of the suite."""

import json
import subprocess
from dataclasses import replace

import pytest
from debian.deb822 import Deb822
from tests.integration.deb_mock.conftest import native_architecture, what_is_left
from tests.integration.deb_mock.dh_source import make_dh_source
from tests.integration.deb_mock.signed_repository import SignedRepository
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.engine import Engine
from deb_mock.engine_config import PluginSetting
from deb_mock.model import BuildRequest, ExtraRepository
from deb_mock.reproducibility.buildinfo import read_buildinfo
from deb_mock.reproducibility.check import ReproducibilityCheck
from deb_mock.reproducibility.rebuild import RebuildRequest, Rebuilds
from deb_mock.reproducibility.variations import VARIATIONS
from deborch_shared.apt.host import host_codename
from deborch_shared.errors import DeborchError

SHOWS_ITS_SURROUNDINGS = "mkdir -p debian/out/usr/share/tiny\nhostname > debian/out/usr/share/tiny/host"


@pytest.fixture
def small(tmp_path):
    (tmp_path / "source").mkdir()
    return BuildRequest(
        build_id="small",
        dsc=make_dh_source(tmp_path / "source"),
        source_dir=tmp_path / "source",
        suite=host_codename(),
        architecture=native_architecture(),
        result_dir=tmp_path / "results",
        parallel=2,
    )


def rebuild_of(files, request, tmp_path):
    info = next(path for path in files if path.suffix == ".buildinfo")
    return RebuildRequest(
        rebuild_id="again",
        info=read_buildinfo(info),
        near=info.parent,
        dsc=request.dsc,
        suite=request.suite,
        result_dir=tmp_path / "again",
        failed_dir=tmp_path / "again_failed",
    )


def library(directory, version):
    """A package that others may depend on."""
    tree = directory / f"tinylib-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: tinylib\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.org>\n"
        "Description: made by a test\n"
    )
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, directory], check=True, capture_output=True)
    return directory / f"tinylib_{version}_all.deb"


async def test_a_debhelper_package_is_bit_identical_in_every_surrounding_and_from_its_buildinfo(
    engine, small, log, config, tmp_path
):
    checks = ReproducibilityCheck(engine, in_memory=True)
    result = await checks.run(small, "all", on_log=log.extend)
    assert [file.name for file in result.files] == [
        f"small-dbgsym_1.0_{small.architecture}.deb",
        f"small_1.0_{small.architecture}.deb",
    ]
    assert result.is_reproducible, result.files
    assert {name for name, _, _ in result.varied} | set(result.left_out) == {each.name for each in VARIATIONS}
    assert {"time", "locale", "build-path", "user", "umask"} <= {name for name, _, _ in result.varied}
    environments = [
        json.loads(path.read_text())["environment"] for path in sorted(small.result_dir.glob("*/*.report.json"))
    ]
    assert [each["TZ"] for each in environments] == ["UTC", "XST-14"]
    assert what_is_left(config.state_dir) == []

    [info] = (small.result_dir / "first").glob("*.buildinfo")
    fields = Deb822(info.read_text())
    assert fields["Build-Path"] == "/build/small-1.0"
    assert 'SOURCE_DATE_EPOCH="1767225600"' in fields["Environment"]
    again = rebuild_of([info], small, tmp_path)
    rebuilt = await Rebuilds(engine).run(again, on_log=log.extend)
    rebuilt.require_reproducible()
    assert rebuilt.missing_versions == ()
    assert [file.second_sha256 for file in rebuilt.files] == [file.first_sha256 for file in result.files]


async def test_what_differs_is_shown_on_a_page_of_diffoscope(engine, request_for, log, config):
    request = replace(request_for(SHOWS_ITS_SURROUNDINGS), failed_dir=None)
    result = await ReproducibilityCheck(engine, in_memory=True).run(request, "hostname", on_log=log.extend)
    assert not result.is_reproducible
    assert result.page is not None, result.note
    assert "usr/share/tiny/host" in result.page.read_text()
    text = result.page.with_suffix(".txt").read_text()
    assert "-buildroot" in text
    assert "+another-host" in text
    with pytest.raises(DeborchError) as caught:
        result.require_reproducible()
    assert caught.value.fields["failure_class"] == "unreproducible"
    assert json.loads((request.result_dir / "check.json").read_text())["is_reproducible"] is False
    assert what_is_left(config.state_dir) == []


async def test_another_source_or_version_than_in_the_buildinfo_is_named_and_taken_only_if_asked_for(
    engine, request_for, log, tmp_path
):
    request = request_for()
    await engine.build(request, on_log=log.extend)
    again = rebuild_of(request.result_dir.iterdir(), request, tmp_path)
    old = tuple(replace(each, version="0.1-ancient") if each.name == "make" else each for each in again.info.installed)
    again = replace(again, info=replace(again.info, installed=old))
    with pytest.raises(DeborchError) as caught:
        await Rebuilds(engine).run(again, on_log=log.extend)
    assert caught.value.fields["missing"] == ["make=0.1-ancient"]
    assert caught.value.fields["failure_class"] == "dep-wait"
    result = await Rebuilds(engine).run(replace(again, or_nearest=True), on_log=log.extend)
    assert result.missing_versions == ("make=0.1-ancient",)
    assert result.is_reproducible


async def test_a_rebuild_has_what_plug_ins_need_above_the_exact_set(engine, config, request_for, log, tmp_path):
    request = request_for()
    await engine.build(request, on_log=log.extend)
    again = rebuild_of(request.result_dir.iterdir(), request, tmp_path)
    with_plugin = Engine(replace(config, plugins=(PluginSetting("eatmydata"),)))
    result = await Rebuilds(with_plugin).run(again, on_log=log.extend)
    assert result.is_reproducible
    assert b"$ eatmydata dpkg-buildpackage" in log


async def test_an_old_version_comes_from_an_extra_repository_although_there_is_a_newer_one(
    engine, request_for, log, tmp_path
):
    libraries = [library(tmp_path, version) for version in ("1.0", "2.0")]
    repository = SignedRepository(tmp_path / "repository", native_architecture())
    try:
        repository.publish(libraries[0])
        extra = (ExtraRepository("pool", repository.stanza(f"file:{repository.directory}")),)
        user = tmp_path / "user"
        user.mkdir()
        body = "dpkg-query -W tinylib"
        dsc = make_source(user, name="user-of-it", body=body, build_depends="build-essential, tinylib")
        request = replace(request_for(), dsc=dsc, source_dir=user, extra_sources=extra)
        await engine.build(request, on_log=log.extend)
        repository.publish(libraries[1])
        log.clear()
        again = replace(rebuild_of(request.result_dir.iterdir(), request, tmp_path), repositories=extra)
        result = await Rebuilds(engine).run(again, on_log=log.extend)
    finally:
        repository.close()
    assert b"tinylib\t1.0\n" in log
    assert result.is_reproducible
    assert result.missing_versions == ()


async def test_a_second_build_that_fails_says_what_was_different(engine, request_for, log):
    request = request_for('test "$(hostname)" = buildroot')
    with pytest.raises(DeborchError) as caught:
        await ReproducibilityCheck(engine, in_memory=True).run(request, "hostname", on_log=log.extend)
    assert "the first build succeeded, and the second, with other hostname, did not" in caught.value.message
    assert caught.value.fields["failure_class"] == "compile"
