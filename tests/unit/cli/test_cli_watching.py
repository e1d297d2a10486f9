from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.cli.cli_examples import AT, make_build, make_task

from deborch_cli.commands.build import _sheet as sheet_of_build
from deborch_cli.commands.build import task_with_log
from deborch_cli.commands.following import exit_code_of_build
from deborch_cli.commands.task import _sheet as sheet_of_task
from deborch_cli.exit_codes import ExitCode
from deborch_cli.output import State
from deborch_cli.watching.changes import build_changes
from deborch_cli.watching.views import task_table, took
from deborch_cli.watching.watch import waits_for_dependencies
from deborch_shared.contract.builds import BuildEstimate, Task, TaskProgress
from deborch_shared.contract.states import BlockedReason, BuildState, TaskKind, TaskState
from deborch_shared.errors import DeborchError

DEP_WAIT = {"state": TaskState.BLOCKED, "blocked_reason": BlockedReason.BUILD_DEPENDENCIES, "message": "libfoo-dev"}


def test_the_first_look_tells_everything_and_the_same_look_again_nothing():
    build = make_build(make_task())
    assert build_changes(None, build) == [
        "task 2 hello 2.10-3 amd64: free",
        "build 1 hello 2.10-3 for bookworm: building",
    ]
    assert build_changes(build, build) == []


def test_only_what_changed_is_told():
    before = make_build(make_task(1, kind=TaskKind.FETCH_SOURCE, label="hello"), make_task(2))
    now = make_build(before.tasks[0], make_task(2, state=TaskState.RUNNING, host="b1", attempt=2))
    assert build_changes(before, now) == ["task 2 hello 2.10-3 amd64: running on b1, attempt 2"]


def test_each_stage_of_a_running_task_is_told():
    before = make_build(make_task(2, state=TaskState.RUNNING, host="b1", stage="download"))
    now = make_build(make_task(2, state=TaskState.RUNNING, host="b1", stage="build"))
    assert build_changes(before, now) == ["task 2 hello 2.10-3 amd64: running on b1 (build)"]
    assert "running (build)" in [cell.plain() for cell in task_table(now.tasks).rows[0] if isinstance(cell, State)]


def test_why_a_task_waits_or_failed_is_told():
    now = make_build(
        make_task(2, **DEP_WAIT), make_task(3, state=TaskState.FAILED, failure_class="compile", message="status 2")
    )
    assert build_changes(make_build(), now) == [
        "task 2 hello 2.10-3 amd64: blocked (dep-wait): libfoo-dev",
        "task 3 hello 2.10-3 amd64: failed (compile): status 2",
    ]


def test_time_is_counted_only_while_an_attempt_goes_on():
    assert took(make_task(state=TaskState.RUNNING, started_at=AT)).plain() != "-"
    assert took(make_task(state=TaskState.FAILED, started_at=AT, ended_at=AT + timedelta(seconds=5))).plain() == "5.0"
    assert took(make_task(started_at=AT, **DEP_WAIT)).plain() == "-"
    assert took(make_task()).plain() == "-"


def test_a_build_waits_for_dependencies_once_nothing_else_can_move_it():
    done = make_task(1, state=TaskState.COMPLETED)
    assert waits_for_dependencies(make_build(done, make_task(2, **DEP_WAIT)))
    assert not waits_for_dependencies(make_build(make_task(1, state=TaskState.RUNNING), make_task(2, **DEP_WAIT)))
    assert not waits_for_dependencies(
        make_build(make_task(2, state=TaskState.BLOCKED, blocked_reason=BlockedReason.ARCHIVE))
    )
    assert not waits_for_dependencies(make_build(done))


@pytest.mark.parametrize(
    ("state", "tasks", "code"),
    [
        (BuildState.COMPLETED, [], ExitCode.OK),
        (BuildState.FAILED, [make_task(2, state=TaskState.FAILED)], ExitCode.FAILED),
        (BuildState.CANCELED, [], ExitCode.FAILED),
        (BuildState.BUILDING, [make_task(2, **DEP_WAIT)], ExitCode.DEPENDENCY_WAIT),
    ],
)
def test_the_exit_code_says_how_a_build_ended(state, tasks, code):
    assert exit_code_of_build(make_build(*tasks, state=state)) is code


def test_the_log_of_a_build_is_that_of_the_package_task_that_began_last():
    fetch = make_task(1, kind=TaskKind.FETCH_SOURCE, attempt=1, started_at=AT + timedelta(hours=1))
    first = make_task(2, attempt=1, started_at=AT)
    second = make_task(3, attempt=1, started_at=AT + timedelta(minutes=1), architecture="arm64")
    waiting = make_task(4, architecture="armhf")
    build = make_build(fetch, first, second, waiting)
    assert task_with_log(build, None) == second
    assert task_with_log(build, "amd64") == first
    assert task_with_log(build, "armhf") == waiting
    assert task_with_log(make_build(fetch), None) == fetch


def test_a_build_has_no_log_for_an_architecture_that_it_is_not_built_for():
    with pytest.raises(DeborchError, match="build 1 has no task for riscv64"):
        task_with_log(make_build(make_task()), "riscv64")


def test_what_a_running_task_uses_is_beside_it_and_gone_when_it_is_over():
    used = TaskProgress(stage_s=80.0, cpu_s=64.7, memory_bytes=512 << 20, log_bytes=1234)
    running = make_task(state=TaskState.RUNNING, stage="build", progress=used)
    (row,) = task_table([running]).rows
    assert row[-1] == "1 min 20 s in it, 512 MiB, 65 s cpu, log 1.2 KiB"
    (row,) = task_table([running.model_copy(update={"state": TaskState.COMPLETED})]).rows
    assert row[-1] == ""


def test_what_earlier_builds_used_is_shown_with_a_build():
    known = BuildEstimate(
        architecture="amd64", builds=3, wall_s=60.0, cpu_s=42.0, memory_peak_bytes=None, disk_bytes=1 << 30
    )
    shown = sheet_of_build(make_build(make_task(), estimates=[known])).plain()
    assert "By earlier builds:" in shown
    assert shown.splitlines()[-1].split() == ["amd64", "60.0", "42.0", "-", str(1 << 30), "3"]


def test_the_expected_end_of_a_task_says_when_it_is_late():
    soon, late = datetime.now(UTC) + timedelta(seconds=90.5), datetime.now(UTC) - timedelta(seconds=60.5)
    facts = {
        "priority": 0, "max_attempts": 3, "required_tags": (), "cpu": 1, "memory_bytes": 0, "disk_bytes": 0,
        "missing": (), "lease_until": None, "attempts": [], "expected_s": 120.0,
    }  # fmt: skip
    running = make_task(state=TaskState.RUNNING).model_dump() | facts
    assert "in 1 min 30 s" in sheet_of_task(Task(**running, expected_end_at=soon)).plain()
    assert "it takes longer than usual" in sheet_of_task(Task(**running, expected_end_at=late)).plain()
