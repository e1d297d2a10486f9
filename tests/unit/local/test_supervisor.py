"""The supervisor over hand-written children and a clock that is moved by hand."""

import asyncio
from datetime import UTC, datetime

import pytest

from deborch_cli.local.supervisor import LONGEST_DELAY_S, STABLE_AFTER_S, Change, Notice, Supervisor
from deborch_shared.errors import DeborchError, ErrorCode


class RecordingClock:
    """Sleeps at once, and remembers for how long."""

    def __init__(self) -> None:
        self.slept_s = []
        self.time_s = 0.0

    def now(self):
        return datetime.fromtimestamp(self.time_s, UTC)

    def monotonic_s(self):
        return self.time_s

    async def sleep(self, duration_s):
        self.slept_s.append(duration_s)
        self.time_s += duration_s
        await asyncio.sleep(0)


class FakeChild:
    """Dies when told to; `failures` of its next starts fail."""

    def __init__(self, name, history) -> None:
        self.name = name
        self.history = history
        self.failures = 0
        self.starts = 0
        self._end = asyncio.Event()
        self.drains = asyncio.Event()
        self.drains.set()

    async def start(self):
        self.starts += 1
        if self.failures:
            self.failures -= 1
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "no luck")
        self._end = asyncio.Event()
        self.history.append(f"{self.name} up")

    async def wait(self):
        await self._end.wait()
        return 1

    async def stop(self):
        await self.drains.wait()
        self.history.append(f"{self.name} down")

    def kill(self):
        self.history.append(f"{self.name} killed")
        self.drains.set()

    def die(self):
        self._end.set()


async def settled():
    for _ in range(50):
        await asyncio.sleep(0)


async def test_children_stop_in_the_reverse_order_of_their_start():
    history = []
    async with Supervisor(lambda notice: None) as supervisor:
        for name in ("database", "broker", "hub"):
            await supervisor.start(FakeChild(name, history))
    assert history == ["database up", "broker up", "hub up", "hub down", "broker down", "database down"]


async def test_a_child_that_dies_is_started_again_and_that_is_told():
    notices: list[Notice] = []
    child = FakeChild("hub", [])
    async with Supervisor(notices.append, clock=RecordingClock()) as supervisor:
        await supervisor.start(child)
        child.die()
        await settled()
        assert child.starts == 2
    changes = [notice.change for notice in notices]
    assert changes == [
        Change.STARTING,
        Change.READY,
        Change.DIED,
        Change.READY,
        Change.STOPPING,
        Change.STOPPED,
    ]


async def test_the_delay_doubles_up_to_a_limit_while_a_child_keeps_dying():
    clock = RecordingClock()
    child = FakeChild("hub", [])
    async with Supervisor(lambda notice: None, clock=clock) as supervisor:
        await supervisor.start(child)
        for _ in range(9):
            child.die()
            await settled()
    assert clock.slept_s[:4] == [0.5, 1.0, 2.0, 4.0]
    assert clock.slept_s[-1] == LONGEST_DELAY_S


async def test_the_delay_begins_anew_after_a_child_ran_well_for_a_while():
    clock = RecordingClock()
    child = FakeChild("hub", [])
    async with Supervisor(lambda notice: None, clock=clock) as supervisor:
        await supervisor.start(child)
        for _ in range(3):
            child.die()
            await settled()
        clock.time_s += STABLE_AFTER_S + 1
        child.die()
        await settled()
    assert clock.slept_s == [0.5, 1.0, 2.0, 0.5]


async def test_starts_that_fail_are_tried_again():
    notices: list[Notice] = []
    child = FakeChild("hub", [])
    async with Supervisor(notices.append, clock=RecordingClock()) as supervisor:
        await supervisor.start(child)
        child.failures = 2
        child.die()
        await settled()
        assert child.starts == 4
    assert [n.change for n in notices].count(Change.START_FAILED) == 2


async def test_a_child_that_does_not_start_the_first_time_is_an_error_and_the_others_are_stopped():
    history = []
    broken = FakeChild("hub", history)
    broken.failures = 1
    with pytest.raises(DeborchError, match="no luck"):
        async with Supervisor(lambda notice: None) as supervisor:
            await supervisor.start(FakeChild("database", history))
            await supervisor.start(broken)
    assert history == ["database up", "hub down", "database down"]


async def test_a_stop_that_is_cancelled_kills_what_it_has_not_stopped_and_ends():
    history = []
    supervisor = await draining(history)
    stopping = asyncio.create_task(supervisor.__aexit__(None, None, None))
    await settled()
    assert supervisor.stopping
    stopping.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait((stopping,))
    assert stopping.cancelled()
    assert history == ["database up", "hub up", "hub killed", "database killed"]


async def test_a_kill_lets_a_stop_that_waits_for_a_child_go_on_at_once():
    history = []
    supervisor = await draining(history)
    stopping = asyncio.create_task(supervisor.__aexit__(None, None, None))
    await settled()
    supervisor.kill()
    async with asyncio.timeout(5):
        await stopping
    assert history[2:] == ["hub killed", "database killed", "hub down", "database down"]


async def test_a_kill_reaches_a_child_whose_start_was_given_up_and_that_drains():
    history = []
    hub = FakeChild("hub", history)
    hub.failures = 1
    hub.drains.clear()
    with pytest.raises(DeborchError, match="no luck"):
        async with asyncio.timeout(5), Supervisor(lambda notice: None) as supervisor:
            starting = asyncio.create_task(supervisor.start(hub))
            await settled()
            assert not starting.done()
            supervisor.kill()
            await starting
    assert history == ["hub killed", "hub down"]


async def draining(history):
    """A supervisor whose last child takes as long to stop as it likes."""
    supervisor = Supervisor(lambda notice: None)
    await supervisor.__aenter__()
    database, hub = FakeChild("database", history), FakeChild("hub", history)
    await supervisor.start(database)
    await supervisor.start(hub)
    hub.drains.clear()
    return supervisor
