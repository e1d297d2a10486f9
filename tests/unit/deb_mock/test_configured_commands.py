"""Commands take their values from the configuration without doing anything for it."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from deb_mock.cli.configured import configured, current


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "deb-mock").mkdir()
    (tmp_path / "deb-mock" / "config.yaml").write_text("suite: trixie\nbuild: {jobs: 3, profiles: [nodoc]}\n")
    application = typer.Typer()

    @application.command()
    def build(
        jobs: Annotated[int, typer.Option()] = 1,
        profile: Annotated[list[str] | None, typer.Option()] = None,
        timeout: Annotated[float, typer.Option()] = 5.0,
        state_dir: Annotated[Path, typer.Option(envvar="DEB_MOCK_STATE_DIR")] = Path("/default"),
        suite: Annotated[str, typer.Option()] = "",
    ) -> None:
        print(jobs, profile, timeout, state_dir, suite or current().settings.suite)  # noqa: T201

    runner = CliRunner()
    return lambda *arguments: runner.invoke(configured(application), arguments)


def test_an_option_counts_then_o_then_files_then_the_commands_own_default(run, tmp_path):
    assert run().output == "3 ['nodoc'] 5.0 /default trixie\n"
    assert run("-o", "build.jobs=4", "-o", "limits.wall=1 min").output == "4 ['nodoc'] 60.0 /default trixie\n"
    assert run("-o", "build.jobs=4", "--jobs", "5", "--suite", "sid").output == "5 ['nodoc'] 5.0 /default sid\n"
    (tmp_path / "mine.toml").write_text('state_dir = "here"\n')
    assert run("--config", str(tmp_path / "mine.toml")).output == f"3 ['nodoc'] 5.0 {tmp_path}/here trixie\n"


def test_a_wrong_configuration_ends_the_command_with_the_key_and_the_class_policy(run):
    result = run("-o", "build.job=4")
    assert result.exit_code == 3
    assert "-o build.job: build.job is no key; the nearest is jobs" in result.output
    assert "-o buil.jobs: buil is no key; the nearest is build" in run("-o", "buil.jobs=4").output


def test_help_works_whatever_the_configuration_says(run, tmp_path):
    (tmp_path / "deb-mock" / "config.yaml").write_text("nonsense: 1\n")
    assert run("--help").exit_code == 0
    assert run().exit_code == 3
