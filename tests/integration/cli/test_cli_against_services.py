"""Whole commands against services in memory: what is sent, what is shown, what the exit code is."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.cli.fake_services import API_KEY, FakeServices
from tests.unit.cli.cli_examples import AT, make_build, make_task
from tests.unit.cli.test_cli_source_package import TARBALL, write_source_package

from deborch_cli.__main__ import run
from deborch_cli.completion import target_names
from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.builds import Artifact, AttemptSummary, Task, TaskSummary
from deborch_shared.contract.states import BlockedReason, BuildState, TaskKind, TaskState

Output = pytest.CaptureFixture[str]


def make_whole_task(task: TaskSummary) -> Task:
    more = {
        "priority": 0, "max_attempts": 3, "required_tags": (), "cpu": 1, "memory_bytes": 0, "disk_bytes": 0,
        "missing": (), "lease_until": None, "attempts": [],
    }  # fmt: skip
    return Task(**{**task.model_dump(), **more})


def add_artifact(services: FakeServices, name: str, content: bytes, kind: str = "deb", task_id: int = 2) -> str:
    digest = hashlib.sha256(content).hexdigest()
    services.blobs[digest] = content
    number = len(services.artifacts) + 1
    services.artifacts.append(
        Artifact(id=number, build_id=1, task_id=task_id, name=name, kind=kind, sha256=digest, size_bytes=len(content))
    )
    return digest


# --- who we are --------------------------------------------------------------------------------------------------


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


# --- lists and sheets --------------------------------------------------------------------------------------------


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


# --- submitting --------------------------------------------------------------------------------------------------


def test_a_dsc_is_uploaded_with_its_files_and_submitted(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path)
    assert run(["build", str(dsc), "--scratch", "--priority", "5", "--after", "7"]) == 0
    (created,) = logged_in.created
    assert created.dsc is not None
    assert (created.target, created.scratch, created.priority, created.after_builds) == ("bookworm", True, 5, (7,))
    assert logged_in.blobs[created.dsc.sha256] == dsc.read_bytes()
    assert [logged_in.blobs[file.sha256] for file in created.files] == [TARBALL]
    assert capsys.readouterr().out == "build 1 of hello 2.10-3 for bookworm is submitted\n"


def test_files_that_the_hub_has_are_not_sent_again(logged_in: FakeServices, tmp_path: Path):
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path)
    assert run(["build", str(dsc)]) == 0
    logged_in.requests.clear()
    assert run(["build", str(dsc)]) == 0
    assert not [request for request in logged_in.requests if request.startswith("PUT")]


def test_an_upload_that_breaks_off_goes_on_where_it_broke(logged_in: FakeServices, tmp_path: Path, monkeypatch):
    content = os.urandom(3_000_000)
    monkeypatch.setattr("tests.unit.cli.test_cli_source_package.TARBALL", content)
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path, content=content)
    logged_in.break_upload_after_bytes = 1_000_000
    assert run(["build", str(dsc)]) == 0
    assert content in logged_in.blobs.values()
    assert len([request for request in logged_in.requests if request.startswith("PUT")]) == 3
    assert logged_in.parts == {}


def test_a_bad_source_package_leaves_nothing_behind(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    logged_in.add_target()
    dsc = write_source_package(tmp_path, content=b"A tarball")
    assert run(["build", str(dsc)]) == ExitCode.USAGE
    assert "tiny_1.0.tar.xz has another SHA-256" in capsys.readouterr().err
    assert logged_in.requests == []


def test_an_unknown_target_or_architecture_is_refused_before_the_upload(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    logged_in.add_target()
    dsc = str(write_source_package(tmp_path))
    assert run(["build", dsc, "--target", "nosuch"]) == ExitCode.NOT_FOUND
    assert run(["build", dsc, "--arch", "vax"]) == ExitCode.USAGE
    assert "does not build for vax" in capsys.readouterr().err
    assert logged_in.blobs == {}


def test_with_several_targets_one_must_be_chosen(logged_in: FakeServices, monkeypatch, capsys: Output):
    logged_in.builds[1] = make_build()
    assert run(["build", "hello"]) == ExitCode.NOT_FOUND
    logged_in.add_target("bookworm")
    logged_in.add_target("trixie")
    assert run(["build", "hello=2.10-3"]) == ExitCode.USAGE
    assert "bookworm, trixie" in capsys.readouterr().err
    monkeypatch.setenv("DEBORCH_TARGET", "trixie")
    assert run(["build", "hello=2.10-3"]) == 0
    (created,) = logged_in.created
    assert created.suite_source is not None
    assert (created.target, created.suite_source.version) == ("trixie", "2.10-3")


# --- looking on --------------------------------------------------------------------------------------------------


def later(services: FakeServices, *steps: Callable[[], None], every_s: float = 0.4) -> threading.Thread:
    """Let things happen one after another while a command looks on."""

    def play() -> None:
        for step in steps:
            time.sleep(every_s)
            step()
            services.announce("task.changed", build_id=1)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


def test_watching_tells_each_change_and_ends_with_the_build(logged_in: FakeServices, capsys: Output):
    logged_in.add_target()
    logged_in.builds[1] = make_build(make_task())
    running = make_build(make_task(state=TaskState.RUNNING, host="b1", attempt=1, started_at=AT))
    done = make_task(state=TaskState.COMPLETED, host="b1", attempt=1, started_at=AT, ended_at=AT)
    over = make_build(done, state=BuildState.COMPLETED, ended_at=AT + timedelta(seconds=80))
    later(logged_in, lambda: logged_in.builds.update({1: running}), lambda: logged_in.builds.update({1: over}))
    began = time.monotonic()
    assert run(["build", "hello", "--watch"]) == 0
    assert time.monotonic() - began < 4, "events, not the fallback, must end it"
    lines = [line.partition("  ")[2] or line for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "task 2 hello 2.10-3 amd64: free",
        "build 1 hello 2.10-3 for bookworm: building",
        "task 2 hello 2.10-3 amd64: running on b1",
        "task 2 hello 2.10-3 amd64: completed",
        "build 1 hello 2.10-3 for bookworm: completed",
        "build 1 of hello 2.10-3 completed after 1 min 20 s",
    ]


def test_a_failed_build_is_exit_code_1_and_says_why(logged_in: FakeServices, capsys: Output):
    task = make_task(state=TaskState.FAILED, failure_class="compile", message="status 2")
    logged_in.builds[1] = make_build(task, state=BuildState.FAILED, message="1 task failed", ended_at=AT)
    assert run(["build", "watch", "1"]) == ExitCode.FAILED
    out = capsys.readouterr().out
    assert "failed (compile): status 2" in out and "failed after 0.0 s: 1 task failed" in out


def test_missing_build_dependencies_end_the_watching_with_exit_code_7(logged_in: FakeServices, capsys: Output):
    task = make_task(state=TaskState.BLOCKED, blocked_reason=BlockedReason.BUILD_DEPENDENCIES, message="missing")
    logged_in.builds[1] = make_build(task)
    logged_in.tasks[2] = make_whole_task(task).model_copy(update={"missing": ("libnosuch-dev (>= 2)",)})
    assert run(["build", "watch", "1"]) == ExitCode.DEPENDENCY_WAIT
    assert "waits for build dependencies: libnosuch-dev (>= 2)" in capsys.readouterr().out


def test_watching_survives_broken_streams_and_goes_on_from_the_last_event(logged_in: FakeServices, capsys: Output):
    logged_in.builds[1] = make_build(make_task())
    over = make_build(make_task(state=TaskState.COMPLETED), state=BuildState.COMPLETED, ended_at=AT)

    def break_off() -> None:
        logged_in.break_streams = 1

    later(logged_in, lambda: None, break_off, lambda: None, lambda: logged_in.builds.update({1: over}))
    assert run(["build", "watch", "1", "--json"]) == 0
    assert logged_in.resumed_from[0] == "0-0" and logged_in.resumed_from[1] in {"1-1", "1-2"}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["build"]["state"] for line in lines if "build" in line] == ["building", "completed"]
    assert len([line for line in lines if "event" in line]) == 4, "each event once"


def test_ctrl_c_ends_the_looking_on_and_not_the_build(logged_in: FakeServices):
    logged_in.builds[1] = make_build(make_task())
    watching = subprocess.Popen(
        [sys.executable, "-m", "deborch_cli", "build", "watch", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    assert "free" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=10)
    assert watching.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err
    assert not [request for request in logged_in.requests if request.startswith("POST /api/v1/builds")]


def test_a_task_is_watched_to_its_end(logged_in: FakeServices, capsys: Output):
    running = make_whole_task(make_task(1, state=TaskState.RUNNING, host="b1", attempt=1, label="", build_id=None))
    logged_in.tasks[1] = running
    over = running.model_copy(update={"state": TaskState.COMPLETED, "ended_at": AT})
    later(logged_in, lambda: logged_in.tasks.update({1: over}))
    assert run(["task", "create", "--watch"]) == 0
    assert "completed after" in capsys.readouterr().out


# --- logs --------------------------------------------------------------------------------------------------------


def test_a_followed_log_has_each_byte_once_though_the_stream_breaks(logged_in: FakeServices, capsys: Output):
    task = make_task(1, state=TaskState.COMPLETED, attempt=1, started_at=AT)
    logged_in.builds[1], logged_in.tasks[1] = make_build(task), make_whole_task(task)
    logged_in.logs[1] = "café one\n".encode()

    def write(text: bytes) -> None:
        logged_in.logs[1] += text

    def break_off() -> None:
        logged_in.break_streams = 1

    later(logged_in, break_off, lambda: write(b"bad \xff two\n"), lambda: logged_in.finished_logs.add(1))
    assert run(["build", "log", "1", "--follow"]) == 0
    assert capsys.readouterr().out == "café one\nbad \N{REPLACEMENT CHARACTER} two\n"
    assert logged_in.resumed_from == ["0", "10"]


def given_back(services: FakeServices) -> list[Callable[[], None]]:
    """The steps of a task whose first attempt is lost with its host and whose second one completes."""
    attempt = {"assigned_at": AT, "started_at": AT, "ended_at": AT, "stages": []}
    lost = AttemptSummary(
        attempt=1, host="b1", outcome="freed", failure_class="host-lost", message="b1 fell silent", **attempt
    )
    done = AttemptSummary(attempt=2, host="b2", outcome="completed", failure_class=None, message="", **attempt)

    def become(state: TaskState, attempts: list[AttemptSummary], **changes: object) -> Callable[[], None]:
        def step() -> None:
            task = make_task(1, state=state, started_at=AT, assigned_at=AT, **changes)
            services.builds[1] = make_build(task)
            services.tasks[1] = make_whole_task(task).model_copy(update={"attempts": attempts})
            services.finished_logs |= {(1, one.attempt) for one in attempts if one.outcome}

        return step

    services.logs[1, 1], services.logs[1, 2] = b"first\n", b"second\n"
    become(TaskState.RUNNING, [], host="b1", attempt=1)()
    return [
        become(TaskState.FREE, [lost], host=None, attempt=1),
        become(TaskState.RUNNING, [lost], host="b2", attempt=2),
        become(TaskState.COMPLETED, [lost, done], host="b2", attempt=2, ended_at=AT),
    ]


@pytest.mark.parametrize("thing", ["build", "task"])
def test_a_followed_log_goes_on_with_the_next_attempt_and_says_so(logged_in: FakeServices, capsys: Output, thing: str):
    later(logged_in, *given_back(logged_in))
    assert run([thing, "log", "1", "--follow"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "first\nsecond\n"
    assert shown.err.splitlines() == [
        "attempt 1 of task 1 is over, the task was given back (host-lost: b1 fell silent); its next attempt is waited"
        " for",
        "attempt 2 of task 1 hello 2.10-3 amd64 on b2:",
    ]


def test_programs_get_each_part_of_a_followed_log_with_its_attempt(logged_in: FakeServices, capsys: Output):
    later(logged_in, *given_back(logged_in))
    assert run(["build", "log", "1", "--follow", "--json"]) == 0
    shown = capsys.readouterr()
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {"task": 1, "attempt": 1, "text": "first\n"},
        {"task": 1, "attempt": 1, "outcome": "freed", "failure_class": "host-lost", "message": "b1 fell silent"},
        {"task": 1, "attempt": 2, "text": "second\n"},
        {"task": 1, "attempt": 2, "outcome": "completed", "failure_class": None, "message": ""},
    ]
    assert shown.err == ""


def test_one_attempt_that_was_asked_for_is_followed_alone(logged_in: FakeServices, capsys: Output):
    later(logged_in, *given_back(logged_in))
    assert run(["build", "log", "1", "--follow", "--attempt", "1"]) == 0
    assert capsys.readouterr().out == "first\n"


def test_a_followed_log_ends_where_only_another_package_can_move_the_task_on(logged_in: FakeServices, capsys: Output):
    waits = {"state": TaskState.BLOCKED, "blocked_reason": BlockedReason.BUILD_DEPENDENCIES}
    task = make_task(1, attempt=1, started_at=AT, **waits)
    logged_in.builds[1] = make_build(task)
    logged_in.tasks[1] = make_whole_task(task).model_copy(update={"missing": ("libnosuch-dev",)})
    logged_in.logs[1] = b"cannot\n"
    logged_in.finished_logs.add(1)
    assert run(["build", "log", "1", "--follow"]) == ExitCode.DEPENDENCY_WAIT
    shown = capsys.readouterr()
    assert shown.out == "cannot\n"
    assert "waits for build dependencies: libnosuch-dev" in shown.err


def test_a_followed_log_of_a_fetched_source_goes_on_with_its_build(logged_in: FakeServices, capsys: Output):
    fetch = make_task(1, kind=TaskKind.FETCH_SOURCE, state=TaskState.RUNNING, attempt=1, started_at=AT, label="hello")
    fetched = fetch.model_copy(update={"state": TaskState.COMPLETED, "ended_at": AT})
    compiled = make_task(2, state=TaskState.FAILED, host="b1", attempt=1, started_at=AT, ended_at=AT)
    logged_in.builds[1], logged_in.tasks[1] = make_build(fetch), make_whole_task(fetched)
    logged_in.tasks[2] = make_whole_task(compiled)
    logged_in.logs = {1: b"fetching\n", 2: b"compiling\n"}

    def fetch_ends() -> None:
        logged_in.builds[1] = make_build(fetched, make_task(2))
        logged_in.finished_logs.add(1)

    def build_ends() -> None:
        logged_in.builds[1] = make_build(fetched, compiled)
        logged_in.finished_logs.add(2)

    later(logged_in, fetch_ends, build_ends)
    assert run(["build", "log", "1", "--follow"]) == ExitCode.FAILED
    assert capsys.readouterr().out == "fetching\ncompiling\n"


def test_a_log_is_printed_as_it_is(logged_in: FakeServices, capsys: Output):
    task = make_task(1, attempt=1)
    logged_in.builds[1] = make_build(task)
    logged_in.logs[1] = b"one\n\x1b[31mtwo\n"
    assert run(["build", "log", "1"]) == 0
    assert capsys.readouterr().out == "one\n\x1b[31mtwo\n"
    assert run(["task", "log", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"text": "one\n\x1b[31mtwo\n"}


# --- downloads ---------------------------------------------------------------------------------------------------


def test_results_are_fetched_and_verified_even_if_the_connection_breaks(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    content = os.urandom(2_000_000)
    add_artifact(logged_in, "hello_2.10-3_amd64.deb", content)
    add_artifact(logged_in, "build.log", b"log", kind="log")
    logged_in.break_download_after_bytes = 700_000
    to = tmp_path / "out"
    assert run(["build", "download", "1", "--to", str(to), "--kind", "deb", "--json"]) == 0
    assert [path.name for path in to.iterdir()] == ["hello_2.10-3_amd64.deb"]
    assert (to / "hello_2.10-3_amd64.deb").read_bytes() == content
    assert json.loads(capsys.readouterr().out)[0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_result_with_other_content_than_promised_does_not_appear(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    digest = add_artifact(logged_in, "hello.deb", b"good")
    logged_in.blobs[digest] = b"evil"
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "other content than the hub promised" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil.deb", "/etc/evil", "..", "a\x1b[2Jb"])
def test_a_result_whose_name_leads_elsewhere_is_refused_before_any_is_fetched(
    logged_in: FakeServices, tmp_path: Path, capsys: Output, name: str
):
    add_artifact(logged_in, "hello.deb", b"good")
    add_artifact(logged_in, name, b"evil")
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "leads out of its directory" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.root
def test_a_full_disk_is_told_with_the_file_and_nothing_half_fetched_stays(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    add_artifact(logged_in, "hello.deb", os.urandom(3 << 20))
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        assert run(["build", "download", "1", "--to", str(disk)]) == ExitCode.UNAVAILABLE
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    told = capsys.readouterr().err
    assert f"{disk}/hello.deb: No space left on device" in told
    assert "hint: free space" in told


def test_files_that_are_there_are_kept_unless_told_otherwise(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    add_artifact(logged_in, "hello.deb", b"good")
    (tmp_path / "hello.deb").write_bytes(b"mine")
    download = ["build", "download", "1", "--to", str(tmp_path)]
    assert run(download) == ExitCode.CONFLICT
    assert (tmp_path / "hello.deb").read_bytes() == b"mine"
    assert run([*download, "--force"]) == 0
    assert (tmp_path / "hello.deb").read_bytes() == b"good"
    assert run(download) == 0


def test_files_of_one_name_from_two_tasks_are_both_kept(logged_in: FakeServices, tmp_path: Path):
    add_artifact(logged_in, "build.log", b"one", kind="log", task_id=2)
    add_artifact(logged_in, "build.log", b"two", kind="log", task_id=3)
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "2-build.log": b"one",
        "3-build.log": b"two",
    }


def test_a_build_without_results_says_so(logged_in: FakeServices, capsys: Output):
    assert run(["build", "download", "1"]) == ExitCode.NOT_FOUND
    assert "has made nothing" in capsys.readouterr().err


# --- events ------------------------------------------------------------------------------------------------------


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
