"""What a user does twice, or of several suites at once."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deb_mock.cli import build, caches, check
from deb_mock.cli.app import app
from deb_mock.cli.explain import show
from deb_mock.cli.options import read_repository
from deb_mock.dependencies.explanation import Explanation, NotRead
from deb_mock.failures import FailureClass, exit_code, failure
from deb_mock.model import Base
from deborch_shared.errors import DeborchError, ErrorCode

BASES = tuple(Base(f"{suite}-amd64", suite, "amd64", Path(suite), 0.0) for suite in ("bookworm", "sid"))


class EngineWithoutBookworm:
    """Two bases, and an archive that has lost the suite of the first."""

    def __init__(self, _config) -> None:
        pass

    async def recover(self):
        pass

    def bases(self):
        return BASES

    async def ensure_base(self, suite, _architecture, components, check, on_log):
        if suite == "bookworm":
            raise failure(FailureClass.FETCH, ErrorCode.FETCH_FAILED, "not there", hint="look for it")
        return BASES[1]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(caches, "Engine", EngineWithoutBookworm)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_updating_all_goes_on_after_a_suite_that_cannot_be_read_and_reports_it(run):
    result = run("update", "--all", "--suite", "sid", "--json")
    shown = json.loads(result.stdout)
    assert [base["name"] for base in shown["bases"]] == ["sid-amd64"]
    assert [error["message"] for error in shown["failed"]] == ["bookworm amd64: not there"]
    assert result.exit_code == 5
    people = run("update", "--all", "--suite", "sid")
    assert "sid amd64: unchanged" in people.output
    assert "bookworm amd64: not there" in people.output


@pytest.mark.parametrize(
    ("options", "merged"), [((), True), (("--result-dir", "x"), False), (("--result-dir", "x", "--merge"), True)]
)
def test_only_results_without_a_directory_of_their_own_replace_those_of_before(run, monkeypatch, options, merged):
    asked = []

    async def noted(_config, template, _sources, _options, _result_dir, verbose, shell):
        asked.append(template.merge_results)
        return ()

    monkeypatch.setattr(build, "_build", noted)
    run("build", "x.dsc", "--suite", "sid", "--arch", "amd64", *options)
    assert asked == [merged]


def test_a_repository_that_is_not_there_is_refused_with_a_hint(tmp_path):
    with pytest.raises(DeborchError) as caught:
        read_repository(tmp_path / "none.sources")
    assert exit_code(caught.value) == 3
    assert "--extra-repository" in caught.value.hint


def test_why_a_suite_could_not_be_looked_into_is_told_whole(capsys):
    reason = "the archive has no such suite " * 8
    answer = Explanation("x", "1", "bookworm", "amd64", installable=False, not_read=(NotRead("sid", reason),))
    show(answer)
    assert f"sid could not be looked into: {reason}" in capsys.readouterr().out


def test_a_check_leaves_what_earlier_ones_found(tmp_path):
    found = []
    for _ in range(3):
        found.append(check.unused(tmp_path / "hello_check"))
        found[-1].mkdir()
    assert [path.name for path in found] == ["hello_check", "hello_check-2", "hello_check-3"]
