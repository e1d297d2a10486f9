"""The broker is killed and comes back: nothing that was confirmed is lost, and nobody has to do anything."""

import asyncio
import shutil
import time
from collections.abc import Sequence

import pytest

from deborch_shared.bus import HUB_REPORTS, Bus, publications
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import TaskStarted

REGISTERED_AFTER_S = 1.5
"""RabbitMQ writes the registration of a new quorum queue to disk half a second after it has made it. A node killed
before that starts the queue as a new member and elects a leader only after a minute."""


def started(task_id: int) -> Event:
    return new_event(TaskStarted(task_id=task_id, attempt=1, host="b1"), source="/host/b1")


@pytest.fixture
async def seen() -> list[int]:
    return []


@pytest.fixture
async def bus(own_rabbitmq, seen):
    async def handler(events: Sequence[Event]) -> None:
        seen.extend(event.data.task_id for event in events)

    bus = Bus(own_rabbitmq.url(), name="test")
    bus.consume(HUB_REPORTS, handler)
    running = asyncio.create_task(bus.run())
    await asyncio.wait_for(bus.wait_connected(), 20)
    yield bus
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def publish_until(bus: Bus, numbers: range, confirmed: set[int], refused: list[DeborchError]) -> None:
    for number in numbers:
        try:
            await bus.publish(publications([started(number)]))
            confirmed.add(number)
        except DeborchError as error:
            refused.append(error)
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_what_was_confirmed_before_and_after_a_kill_arrives_and_publishing_is_refused_meanwhile(
    own_rabbitmq, bus, seen
):
    confirmed: set[int] = set()
    refused: list[DeborchError] = []
    await publish_until(bus, range(50), confirmed, refused)
    await asyncio.sleep(REGISTERED_AFTER_S)
    during = asyncio.create_task(publish_until(bus, range(50, 400), confirmed, refused))
    await asyncio.sleep(0.05)
    own_rabbitmq.kill()
    async with asyncio.timeout(20):
        while bus.connected:
            await asyncio.sleep(0.02)
    began = time.monotonic()
    with pytest.raises(DeborchError):
        await bus.publish(publications([started(10_000)]))
    assert time.monotonic() - began < 1
    await own_rabbitmq.start()
    await asyncio.wait_for(bus.wait_connected(), 30)
    await asyncio.wait_for(during, 60)
    await publish_until(bus, range(400, 450), confirmed, refused)
    async with asyncio.timeout(30):
        while not confirmed <= set(seen):
            await asyncio.sleep(0.05)
    assert refused
    assert {error.code for error in refused} == {ErrorCode.BROKER_UNAVAILABLE}
    assert all(error.temporary for error in refused)


@pytest.mark.slow
async def test_a_broker_that_lost_everything_gets_its_topology_again(own_rabbitmq, bus, seen, tmp_path):
    await own_rabbitmq.stop()
    for data in (tmp_path / "rabbitmq").rglob("mnesia"):
        shutil.rmtree(data)
    await own_rabbitmq.start()
    await asyncio.wait_for(bus.wait_connected(), 30)
    await bus.publish(publications([started(1)]))
    async with asyncio.timeout(20):
        while seen != [1]:
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_connections_cut_by_the_operator_come_back(own_rabbitmq, bus, seen):
    for number in range(3):
        cut = asyncio.Event()
        bus.on_connected[:] = [cut.set]
        await own_rabbitmq.close_connections()
        await asyncio.wait_for(cut.wait(), 20)
        await bus.publish(publications([started(number)]))
    async with asyncio.timeout(20):
        while set(seen) != {0, 1, 2}:
            await asyncio.sleep(0.05)
