"""Whole commands against services in memory: who we are, what there is, what happened."""

import json
import time
from pathlib import Path

import pytest
from tests.integration.cli.fake_services import API_KEY, FakeServices
from tests.unit.cli.cli_examples import make_build

from deborch_cli.__main__ import run
from deborch_cli.completion import target_names
from deborch_cli.exit_codes import ExitCode

Output = pytest.CaptureFixture[str]


def test_without_a_login_every_command_says_how_to_log_in(config_directory: Path, capsys: Output):
    assert run(["build", "list"]) == ExitCode.DENIED
    assert "deborch login" in capsys.readouterr().err


def test_login_checks_the_key_and_keeps_it(
    services: FakeServices, config_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, tmp_path: Path
):
    key_file = tmp_path / "key"
    key_file.write_text(f"{API_KEY}\n")
    assert run(["login", "--hub-url", services.url, "--auth-url", services.url, "--key-file", str(key_file)]) == 0
    assert f"logged in at {services.url} as key:1 (admin)" in capsys.readouterr().out
    assert json.loads((config_directory / "credentials.json").read_text())["api_key"] == API_KEY
    assert run(["whoami", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "key:1"
    assert run(["logout"]) == 0
    assert list(config_directory.iterdir()) == []


def test_a_wrong_key_is_refused_and_not_kept(
    services: FakeServices, config_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
):
    monkeypatch.setenv("DEBORCH_API_KEY", "dbo.wrong.key")
    assert run(["login", "--hub-url", services.url, "--auth-url", services.url]) == ExitCode.DENIED
    assert "not valid" in capsys.readouterr().err
    assert not (config_directory / "credentials.json").exists()


def test_one_token_serves_many_commands_and_a_refused_one_is_renewed(logged_in: FakeServices):
    for _ in range(3):
        assert run(["target", "list"]) == 0
    assert logged_in.tokens_sold == 1
    logged_in.valid_token = "token-2"
    assert run(["target", "list"]) == 0
    assert logged_in.tokens_sold == 2


def test_a_token_is_kept_private_and_bought_anew_for_another_key(logged_in: FakeServices, config_directory: Path):
    assert run(["target", "list"]) == 0
    kept = config_directory / "token.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_text(json.dumps({"owner": "another", "access_token": "token-1", "expires_at": time.time() + 600}))
    assert run(["target", "list"]) == 0
    assert logged_in.tokens_sold == 2


def test_a_hub_that_cannot_be_reached_is_told_as_such(
    logged_in: FakeServices, monkeypatch: pytest.MonkeyPatch, capsys: Output
):
    monkeypatch.setenv("DEBORCH_HUB_URL", "http://127.0.0.1:9")
    assert run(["task", "create"]) == ExitCode.UNAVAILABLE
    assert "127.0.0.1:9 cannot be reached" in capsys.readouterr().err


def test_a_list_is_read_page_by_page_up_to_the_limit(logged_in: FakeServices, capsys: Output):
    logged_in.builds = {number: make_build(id=number) for number in range(1, 6)}
    assert run(["build", "list", "--json", "--limit", "5"]) == 0
    assert [build["id"] for build in json.loads(capsys.readouterr().out)] == [5, 4, 3, 2, 1]


def test_what_is_not_there_is_told_with_its_own_exit_code(logged_in: FakeServices, capsys: Output):
    assert run(["build", "show", "99", "--json"]) == ExitCode.NOT_FOUND
    assert json.loads(capsys.readouterr().err)["code"] == "not-found"


def test_a_target_is_made_once(logged_in: FakeServices, capsys: Output):
    assert run(["target", "create", "trixie", "--arch", "amd64", "--arch", "arm64"]) == 0
    assert capsys.readouterr().out == "target trixie builds against trixie for amd64, arm64\n"
    assert logged_in.targets["trixie"].components == ("main",)
    assert run(["target", "create", "trixie"]) == ExitCode.CONFLICT


def test_bad_values_are_told_by_name_and_never_sent(logged_in: FakeServices, capsys: Output):
    assert run(["target", "create", "Not A Name"]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "name" in err and "bug" not in err
    assert "POST /api/v1/targets" not in logged_in.requests


def test_an_enrolment_token_is_printed(logged_in: FakeServices, capsys: Output):
    assert run(["host", "enrol", "builder9"]) == 0
    assert "token: once-only" in capsys.readouterr().out


def test_the_sources_file_comes_as_it_is(logged_in: FakeServices, capsys: Output):
    assert run(["archive", "sources", "bookworm"]) == 0
    assert capsys.readouterr().out == "Types: deb\n"


def test_names_of_targets_are_completed_and_a_dead_hub_completes_nothing(
    logged_in: FakeServices, monkeypatch: pytest.MonkeyPatch
):
    for name in ("bookworm", "bookworm-backports", "trixie"):
        logged_in.add_target(name)
    assert target_names("book") == ["bookworm", "bookworm-backports"]
    monkeypatch.setenv("DEBORCH_HUB_URL", "http://127.0.0.1:9")
    assert target_names("book") == []


def test_kept_events_are_shown_and_then_it_ends(logged_in: FakeServices, capsys: Output):
    logged_in.announce("task.failed", task_id=3, message="x")
    logged_in.announce("build.failed", build_id=1, target="bookworm")
    assert run(["events"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "task.failed" in first and "task 3  message=x" in first
    assert "build 1  target bookworm" in second
    assert run(["events", "--json", "--since", "1-1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["streamid"] == "1-2"
