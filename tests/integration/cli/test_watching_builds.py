"""Builds and tasks of services in memory, watched until they end."""

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from tests.integration.cli.fake_services import FakeServices, later
from tests.unit.cli.cli_examples import AT, make_build, make_task, make_whole_task

from deborch_cli.__main__ import run
from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.states import BlockedReason, BuildState, TaskState

Output = pytest.CaptureFixture[str]


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
