"""Heartbeats are sent while there is a link, and an outage of the broker ends nothing."""

import asyncio

from tests.unit.builder.fakes import FakeLink, HeldClock, until

from deborch_shared.events import Event, new_event
from deborch_shared.events.model import HostHeartbeat
from deborch_shared.worker.heartbeat import Heartbeats


def beat(host: str) -> Event:
    return new_event(HostHeartbeat(host=host), source=f"/builder/{host}")


async def test_a_beat_goes_out_at_once_and_then_each_interval_not_durable() -> None:
    link, clock = FakeLink(), HeldClock()
    running = asyncio.create_task(Heartbeats(link, lambda: [beat("b1")], clock).run(5))
    await until(lambda: clock.slept_s == [5])
    clock.wake()
    await until(lambda: len(link.messages) == 2)
    running.cancel()
    assert not any(message.durable for message in link.messages)
    assert link.events[0].source == "/builder/b1"


async def test_many_hosts_share_a_message() -> None:
    link = FakeLink()
    await Heartbeats(link, lambda: [beat(f"b{n}") for n in range(50)], HeldClock()).send()
    assert len(link.messages) == 1
    assert len(link.events) == 50


async def test_a_beat_that_is_not_confirmed_is_forgotten() -> None:
    link = FakeLink()
    link.refusing = True
    await Heartbeats(link, lambda: [beat("b1")], HeldClock()).send()
    assert not link.messages
