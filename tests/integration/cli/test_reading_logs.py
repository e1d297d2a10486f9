"""Logs of services in memory, printed or followed."""

import json
from collections.abc import Callable

import pytest
from tests.integration.cli.fake_services import FakeServices, later
from tests.unit.cli.cli_examples import AT, make_build, make_task, make_whole_task

from deborch_cli.__main__ import run
from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.builds import AttemptSummary
from deborch_shared.contract.states import BlockedReason, TaskKind, TaskState

Output = pytest.CaptureFixture[str]


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
