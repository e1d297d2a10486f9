"""Assignments and cancels: each is answered once, whatever is delivered twice, and none is acknowledged too early."""

import asyncio
import errno

import pytest
from tests.unit.builder.conftest import GIB, Builder
from tests.unit.builder.fakes import build_task, files_below, noop, until

from deborch_builder import journal
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import new_event
from deborch_shared.events.model import BuildDone, CancelTask, Resources, TaskCreated, TaskRefused
from deborch_shared.worker.readiness import EngineNeed


async def test_a_noop_is_done_when_its_batch_is_acknowledged(builder: Builder) -> None:
    await builder.receive(noop(1), noop(2), noop(3))
    assert [type(report) for report in builder.reports()] == [BuildDone] * 3
    assert len(builder.link.messages) == 1
    assert all(report.succeeded for report in builder.reports(BuildDone))


async def test_a_noop_of_no_duration_touches_no_disk(builder: Builder) -> None:
    await builder.receive(noop(1))
    assert not files_below(builder.directory)


async def test_a_noop_that_takes_time_is_started_at_once_and_done_later(builder: Builder) -> None:
    await builder.receive(noop(1, duration_s=30))
    await until(lambda: builder.reports(BuildDone))
    assert 30 in builder.clock.slept_s
    assert not files_below(builder.directory / "assignments")


async def test_an_assignment_delivered_twice_is_done_once(builder: Builder) -> None:
    builder.engine.hold = True
    task = build_task(builder.hub)
    await builder.receive(noop(1), task, task)
    await builder.receive(noop(1), task)
    await builder.engine.building.wait()
    assert len(builder.engine.builds) == 1
    assert len(builder.reports(BuildDone)) == 1


async def test_an_assignment_delivered_again_after_its_end_is_not_done_again(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub, 7))
    await until(lambda: builder.reports(BuildDone) and not len(builder.attempts))
    await builder.receive(build_task(builder.hub, 7))
    await asyncio.sleep(0.01)
    assert len(builder.engine.builds) == 1


async def test_another_attempt_at_the_same_task_is_another_thing(builder: Builder) -> None:
    await builder.receive(noop(1, attempt=1))
    await builder.receive(noop(1, attempt=2))
    assert [report.attempt for report in builder.reports(BuildDone)] == [1, 2]


async def test_a_build_is_in_the_journal_before_its_assignment_is_acknowledged(builder: Builder, monkeypatch) -> None:
    builder.engine.hold = True
    written_before_start = []
    start = builder.attempts.start

    def spying_start(task) -> None:
        written_before_start.extend(files_below(builder.directory / "assignments"))
        start(task)

    monkeypatch.setattr(builder.attempts, "start", spying_start)
    await builder.receive(build_task(builder.hub, 7))
    assert written_before_start == ["7-1.json"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"architecture": "riscv64"}, "it is for riscv64, this host has amd64"),
        ({"resources": Resources(cpu=5)}, "it needs 5 processors, 4 are free"),
        ({"resources": Resources(memory_bytes=9 * GIB)}, "it needs 9.0 GiB of memory, 8.0 GiB are free"),
        ({"resources": Resources(disk_bytes=51 * GIB)}, "it needs 51.0 GiB of disk, 50.0 GiB are free"),
    ],
)
async def test_what_this_host_cannot_do_is_refused_with_the_reason(builder: Builder, fields, said) -> None:
    await builder.receive(noop(1, **fields))
    (refusal,) = builder.reports()
    assert isinstance(refusal, TaskRefused)
    assert refusal.reason == said


async def test_a_kind_that_is_not_known_is_refused(builder: Builder) -> None:
    await builder.receive(noop(1).model_copy(update={"kind": "paint-house"}))
    (refusal,) = builder.reports(TaskRefused)
    assert "paint-house" in refusal.reason


async def test_resources_are_counted_over_a_batch_and_free_again_after_the_end(builder: Builder) -> None:
    two = Resources(cpu=2)
    builder.engine.hold = True
    await builder.receive(*(build_task(builder.hub, number, resources=two) for number in (1, 2, 3)))
    assert [report.task_id for report in builder.reports(TaskRefused)] == [3]
    await builder.receive(CancelTask(task_id=1, attempt=1))
    await until(lambda: len(builder.attempts) == 1)
    await builder.receive(build_task(builder.hub, 4, resources=two))
    assert len(builder.reports(TaskRefused)) == 1


async def require_engine(builder: Builder) -> None:
    """As the daemon does at its start."""
    need = EngineNeed(builder.engine)
    await need.look()
    builder.readiness.add(need)


async def test_builds_are_refused_without_an_engine_and_noops_are_not(tmp_path) -> None:
    made = Builder(tmp_path)
    made.engine.unusable = DeborchError(ErrorCode.NEEDS_ROOT, "this needs root")
    await require_engine(made)
    made.start()
    await made.receive(build_task(made.hub, 1), noop(2))
    await made.stop()
    (refusal,) = made.reports(TaskRefused)
    assert "this needs root" in refusal.reason
    assert [report.task_id for report in made.reports(BuildDone)] == [2]


async def test_a_disk_that_was_full_at_start_needs_no_restart_when_it_has_room_again(builder: Builder) -> None:
    builder.engine.unusable = OSError(errno.ENOSPC, "No space left on device")
    await require_engine(builder)
    builder.clock.advance(6)
    await builder.receive(build_task(builder.hub, 1))
    (refusal,) = builder.reports(TaskRefused)
    assert "No space left" in refusal.reason
    builder.engine.unusable = None
    builder.clock.advance(6)
    await builder.receive(build_task(builder.hub, 2))
    await until(lambda: builder.reports(BuildDone))
    assert len(builder.reports(TaskRefused)) == 1


async def test_an_engine_that_is_not_usable_is_asked_again_each_minute_and_by_a_rush_only_once(
    builder: Builder,
) -> None:
    builder.engine.unusable = DeborchError(ErrorCode.DISK_FULL, "no space is left")
    await require_engine(builder)
    builder.clock.advance(6)
    asked = builder.engine.recoveries
    for number in range(10):
        await builder.receive(build_task(builder.hub, number))
    assert builder.engine.recoveries == asked + 1
    builder.engine.unusable = None
    looking = asyncio.create_task(builder.readiness.run())
    await until(lambda: builder.readiness.problem is None)
    looking.cancel()
    assert 60 in builder.clock.slept_s


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"mode": "some"}, "mode: Input should be 'any+all', 'any' or 'all'"),
        ({"hardening": True}, "hardening: Extra inputs are not permitted"),
        ({"dsc": None}, "dsc: "),
        ({"x" * 9_000: 1}, "left out"),
    ],
    ids=["an unknown value", "an unknown field", "nothing for a source", "a field with a long name"],
)
async def test_an_order_that_is_not_understood_is_refused_with_the_reason(
    builder: Builder, payload: dict[str, object], said: str
) -> None:
    task = build_task(builder.hub, 7)
    await builder.receive(task.model_copy(update={"payload": {**task.payload, **payload}}), noop(8))
    (refusal,) = builder.reports(TaskRefused)
    assert (refusal.task_id, refusal.attempt) == (7, 1)
    assert said in refusal.reason
    assert "upgrade hub and builder to one version" in refusal.reason
    assert len(refusal.reason) < 700
    assert [report.task_id for report in builder.reports(BuildDone)] == [8]
    assert not files_below(builder.directory)


async def test_a_noop_of_another_version_is_refused_before_it_counts_as_done(builder: Builder) -> None:
    await builder.receive(noop(1).model_copy(update={"payload": {"repeat": 3}}))
    assert [type(report) for report in builder.reports()] == [TaskRefused]


async def test_everything_is_refused_while_draining(builder: Builder) -> None:
    builder.commands.draining = True
    await builder.receive(noop(1), build_task(builder.hub, 2))
    assert [report.reason for report in builder.reports()] == ["builder b1 is draining"] * 2


async def test_a_full_disk_refuses_the_assignment_instead_of_losing_it(builder: Builder, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise DeborchError(ErrorCode.DISK_FULL, "no space is left")

    monkeypatch.setattr(journal, "write_durably", full)
    await builder.receive(build_task(builder.hub))
    assert [report.reason for report in builder.reports()] == ["no space is left"]


async def test_a_cancel_stops_the_work_and_reports_nothing(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub, 7))
    await builder.engine.building.wait()
    async with asyncio.timeout(1):
        await builder.receive(CancelTask(task_id=7, attempt=1))
        await until(lambda: not len(builder.attempts))
    assert builder.engine.canceled == 1
    assert not builder.reports(BuildDone)
    assert not files_below(builder.directory)


async def test_a_cancel_that_overtakes_its_assignment_is_remembered(builder: Builder) -> None:
    await builder.receive(CancelTask(task_id=1, attempt=2))
    await builder.receive(noop(1, attempt=2))
    assert not builder.reports()


async def test_a_cancel_in_the_same_batch_wins(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub, 7), CancelTask(task_id=7, attempt=1))
    assert not builder.reports()
    assert not files_below(builder.directory)


async def test_a_cancel_of_another_attempt_changes_nothing(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub, 7, attempt=2), CancelTask(task_id=7, attempt=1))
    await builder.engine.building.wait()
    assert len(builder.attempts) == 1


async def test_an_event_that_is_no_command_is_not_swallowed(builder: Builder) -> None:
    with pytest.raises(DeborchError) as refused:
        await builder.commands.handle([new_event(TaskCreated(task_id=1), source="/hub")])
    assert refused.value.code is ErrorCode.UNKNOWN_EVENT


async def test_a_batch_is_acknowledged_while_the_broker_takes_no_reports(builder: Builder) -> None:
    builder.link.connected = False
    async with asyncio.timeout(2):
        await builder.receive(noop(1))
    assert len(builder.spool) == 2
