"""What commands say before there is anything to build, and about what cannot be built."""

import asyncio
import errno

import pytest
from typer.testing import CliRunner

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.buildroots.named import NamedBuildroots
from deb_mock.cli.app import app
from deb_mock.cli.chain_reports import ChainReports
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.model import BuildRequest
from deb_mock.reproducibility.check import ReproducibilityCheck
from deb_mock.sources.arguments import DscFile
from deb_mock.stages.guards import plain_failures
from deborch_shared.errors import DeborchError


def test_the_version_is_told():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.startswith("deb-mock ")) == (0, True)


def test_making_a_source_package_ready_is_told_once_and_a_dsc_needs_no_word(tmp_path, capsys):
    reports = ChainReports(tmp_path, verbose=False, count=1)
    with reports.watch(None, tmp_path):
        pass
    assert not capsys.readouterr().err
    with reports.watch(None, tmp_path) as progress:
        progress.on_log(b"one\n")
        progress.on_log(b"two\n")
    assert capsys.readouterr().err == "making the source package ready ...\n"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOENT, "check the path"), (errno.EACCES, "permissions"), (errno.ENOSPC, "free space")]
)
def test_an_error_of_the_system_says_what_to_do(number, said):
    with pytest.raises(DeborchError) as caught, plain_failures():
        raise OSError(number, "x", "/some/file")
    assert said in caught.value.hint


def test_a_check_of_a_dsc_that_is_not_there_leaves_no_directory_behind(tmp_path):
    dsc = tmp_path / "missing.dsc"
    config = EngineConfig(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    request = BuildRequest("b", dsc, tmp_path, "bookworm", "amd64", tmp_path / "missing_check")
    checks = ReproducibilityCheck(Engine(config), in_memory=True)
    with pytest.raises(DeborchError, match="cannot be read"):
        asyncio.run(checks.run(request, "all", DscFile(dsc), on_log=lambda _: None))
    assert not (tmp_path / "missing_check").exists()


def test_a_buildroot_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    config = EngineConfig(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    with pytest.raises(DeborchError) as caught:
        NamedBuildroots(config, Buildroots(config)).find("nope")
    assert "there is none yet" in caught.value.hint
