"""Why build dependencies cannot be installed, as the real apt sees it."""

import json
import sys
from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import native_architecture
from tests.integration.deb_mock.signed_repository import SignedRepository, binary_package
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.model import ExtraRepository
from deb_mock.sources.package import SourcePackage
from deborch_shared import process
from deborch_shared.apt.unmet import Why


@pytest.fixture
def repository(tmp_path):
    """A signed repository with `outer`, which needs `inner (>= 2)`, and `inner` in version 1."""
    repository = SignedRepository(tmp_path / "repository", native_architecture())
    outer = binary_package(tmp_path, "outer", depends="inner (>= 2)")
    repository.publish(outer, binary_package(tmp_path, "inner"))
    yield repository
    repository.close()


async def test_each_relation_is_explained_down_to_what_is_missing(engine, repository, request_for, log, tmp_path):
    directory = tmp_path / "needy"
    directory.mkdir()
    needs = "build-essential, no-such-a | no-such-b, outer, inner (>= 3), dpkg-dev"
    request_for()
    dsc = make_source(directory, name="needy", build_depends=needs)
    source = (await SourcePackage.read(dsc)).description
    extra = (ExtraRepository("test", repository.stanza(f"file:{repository.directory}")),)
    request = replace(request_for.last, extra_sources=extra)

    answer = await engine.explain(source, request, on_log=log.extend)
    assert not answer.installable
    by_relation = {unmet.relation: unmet for unmet in answer.unmet}
    assert by_relation["no-such-a | no-such-b"].why is Why.MISSING
    assert by_relation["inner (>= 3)"].why is Why.VERSION
    assert [one.version for one in by_relation["inner (>= 3)"].available] == ["1"]
    outer = by_relation["outer"]
    assert outer.why is Why.UNINSTALLABLE
    assert [(one.relation, one.why) for one in outer.because] == [("inner (>= 2)", Why.VERSION)]
    assert not any("dpkg-dev" in relation for relation in by_relation)

    fine = await engine.explain(replace(source, relations={}), request, on_log=log.extend)
    assert fine.installable


async def test_explain_answers_programs_and_exits_with_4_also_if_another_suite_cannot_be_read(config, request_for):
    places = ["--state-dir", str(config.state_dir), "--cache-dir", str(config.cache_dir)]
    request = request_for(build_depends="no-such-package")
    line = [sys.executable, "-m", "deb_mock", "explain", str(request.dsc), "--json", "--look-in", "no-suite", *places]
    result = await process.run(line, check=False)
    shown = json.loads(result.output)
    assert result.returncode == 4
    assert [(unmet["relation"], unmet["why"]) for unmet in shown["unmet"]] == [("no-such-package", "missing")]
    assert [missed["suite"] for missed in shown["not_read"]] == ["no-suite"]
