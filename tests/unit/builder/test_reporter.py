"""Reports are batched, kept through outages, and never lost between memory, disk and broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.builder.fakes import FakeClock, FakeLink, HeldClock, files_below, until

from deborch_builder.reporter import Reporter
from deborch_shared.events import decode
from deborch_shared.events.model import BuildDone, TaskRefused, TaskStarted
from deborch_shared.worker.spool import Spool


def started(task_id: int) -> TaskStarted:
    return TaskStarted(task_id=task_id, attempt=1, host="b1")


def done(task_id: int) -> BuildDone:
    return BuildDone(task_id=task_id, attempt=1, host="b1", succeeded=True)


@asynccontextmanager
async def running(reporter: Reporter) -> AsyncIterator[None]:
    task = asyncio.create_task(reporter.run())
    yield
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


async def test_what_gathers_during_a_confirm_travels_in_one_message_of_each_type(link, spool) -> None:
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        link.may_confirm.clear()
        reporter.submit(started(1))
        await link.publishing.wait()
        for task_id in range(2, 52):
            reporter.submit(started(task_id))
        link.may_confirm.set()
        await reporter.report(done(1))
    assert [message.routing_key for message in link.messages] == ["task.started", "task.started", "build.done"]
    assert [len(decode(one.body, one.content_type)) for one in link.messages] == [1, 50, 1]


async def test_the_report_of_an_end_replaces_that_of_its_beginning(link, spool) -> None:
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        await reporter.report(started(1), done(1), started(2))
    assert [(event.type, event.data.task_id) for event in link.events] == [("task.started", 2), ("build.done", 1)]


async def test_no_attempt_ends_before_it_starts_whatever_the_order_of_the_reports(link, spool) -> None:
    reporter = Reporter(link, spool, FakeClock())
    reporter.submit(done(1), started(2), done(4), TaskRefused(task_id=3, attempt=1, host="b1", reason="full"))
    async with running(reporter):
        await until(lambda: len(link.events) == 4)
    assert [event.type for event in link.events] == ["task.started", "task.refused", "build.done", "build.done"]


async def test_a_report_names_its_builder_as_source(link, spool) -> None:
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        await reporter.report(started(1))
    assert link.events[0].source == "/builder/b1"


async def test_a_report_is_on_disk_when_report_returns_while_the_broker_is_away(link, spool, tmp_path) -> None:
    link.connected = False
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        await reporter.report(started(1), done(1))
        assert len(files_below(tmp_path / "spool")) == 2
    assert not link.messages


async def test_the_spool_goes_first_and_in_order_when_the_broker_is_back(link, spool, tmp_path) -> None:
    link.connected = False
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        await reporter.report(started(1))
        await reporter.report(started(2))
        reporter.submit(started(3))
        link.come_back()
        await until(lambda: len(link.events) == 3)
        assert await reporter.flushed(1)
    assert [event.data.task_id for event in link.events] == [1, 2, 3]
    assert not files_below(tmp_path / "spool")


async def test_a_spooled_report_is_sent_by_the_next_process(link, tmp_path) -> None:
    away = FakeLink()
    away.connected = False
    first = Reporter(away, Spool(tmp_path), FakeClock())
    async with running(first):
        await first.report(started(1), done(1))
    second = Reporter(link, Spool(tmp_path), FakeClock())
    async with running(second):
        assert await second.flushed(2)
    assert [event.type for event in link.events] == ["build.done"]
    assert not files_below(tmp_path)


async def test_a_publish_that_is_not_confirmed_is_kept_and_tried_again(link, spool) -> None:
    link.refusing = True
    clock = HeldClock()
    reporter = Reporter(link, spool, clock)
    async with running(reporter):
        await reporter.report(done(1))
        assert len(spool) == 1
        await until(lambda: clock.slept_s)
        link.refusing = False
        clock.wake()
        assert await reporter.flushed(2)
    assert [event.data.task_id for event in link.events] == [1]


async def test_what_is_pending_when_the_reporter_is_cancelled_goes_to_the_spool(link, tmp_path) -> None:
    link.may_confirm.clear()
    reporter = Reporter(link, Spool(tmp_path), FakeClock())
    async with running(reporter):
        reporter.submit(started(1))
        await link.publishing.wait()
        reporter.submit(done(1))
    assert [event.type for _, event in Spool(tmp_path).oldest(10)] == ["task.started", "build.done"]


async def test_flushed_says_no_while_reports_wait(link, spool) -> None:
    link.connected = False
    reporter = Reporter(link, spool, FakeClock())
    async with running(reporter):
        await reporter.report(started(1))
        assert not await reporter.flushed(0.05)


async def test_a_spool_file_that_cannot_be_read_is_put_aside_and_the_others_are_sent(link, tmp_path, caplog) -> None:
    (tmp_path / f"{0:020d}.json").write_bytes(b'{"half": ')
    reporter = Reporter(link, Spool(tmp_path), FakeClock())
    async with running(reporter):
        await reporter.report(started(5))
    assert [event.data.task_id for event in link.events] == [5]
    assert files_below(tmp_path) == [f"{0:020d}.unreadable"]
    assert "put aside" in caplog.text


def test_numbers_in_the_spool_grow_over_restarts(tmp_path) -> None:
    from deborch_shared.events import new_event

    Spool(tmp_path).add([new_event(started(1), source="/builder/b1")])
    again = Spool(tmp_path)
    again.add([new_event(started(2), source="/builder/b1")])
    assert [event.data.task_id for _, event in Spool(tmp_path).oldest(10)] == [1, 2]
