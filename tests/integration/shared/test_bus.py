import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager

import aio_pika
import pytest
from prometheus_client import REGISTRY

from deborch_shared.bus import (
    EVENTS,
    HUB_HEARTBEATS,
    HUB_REPORTS,
    BatchHandler,
    Bus,
    Publication,
    QueueSpec,
    host_queue,
    publications,
)
from deborch_shared.bus.topology import COMMANDS, DEAD
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import BuildDone, CancelTask, HostHeartbeat, TaskStarted

UNKNOWN = (
    b'{"specversion":"1.0","id":"1","source":"/x","type":"build.done",'
    b'"dataschema":"urn:deborch:event:build.done:99","data":{}}'
)


def started(task_id: int) -> Event:
    return new_event(TaskStarted(task_id=task_id, attempt=1, host="b1"), source="/host/b1")


def ids(events: Sequence[Event]) -> list[int]:
    return [event.data.task_id for event in events]


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


class Inbox:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []

    async def __call__(self, events: Sequence[Event]) -> None:
        self.batches.append(list(events))

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]


@asynccontextmanager
async def connected(url: str, *consumers: tuple[QueueSpec, BatchHandler], queues: Sequence[QueueSpec] = ()):
    bus = Bus(url, name="test", queues=queues)
    for spec, handler in consumers:
        bus.consume(spec, handler)
    running = asyncio.create_task(bus.run())
    try:
        await asyncio.wait_for(bus.wait_connected(), 20)
        yield bus
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def ready_messages(url: str, queue: str) -> int:
    connection = await aio_pika.connect(url)
    async with connection:
        declared = await (await connection.channel()).declare_queue(queue, passive=True)
        return declared.declaration_result.message_count


async def dead_letters(url: str, count: int) -> list[bytes]:
    """The bodies of the first `count` dead letters, once they are there."""
    connection = await aio_pika.connect(url)
    async with connection:
        queue = await (await connection.channel()).get_queue(DEAD)
        bodies: list[bytes] = []
        async with asyncio.timeout(20):
            while len(bodies) < count:
                message = await queue.get(fail=False, no_ack=True)
                if message is None:
                    await asyncio.sleep(0.05)
                else:
                    bodies.append(message.body)
    return bodies


def buried(reason: str) -> float:
    labels = {"queue": HUB_REPORTS.name, "reason": reason}
    return REGISTRY.get_sample_value("deborch_bus_dead_letters_total", labels) or 0.0


async def test_events_reach_the_queue_that_is_bound_to_their_type_in_order(amqp_url):
    inbox = Inbox()
    async with connected(amqp_url, (HUB_REPORTS, inbox)) as bus:
        await bus.publish(publications([started(number) for number in range(500)]))
        await until(lambda: len(inbox.events) == 500)
    assert ids(inbox.events) == list(range(500))


async def test_what_is_confirmed_survives_without_a_consumer_and_waits_for_one(amqp_url):
    async with connected(amqp_url, queues=[HUB_REPORTS]) as bus:
        await bus.publish(publications([started(1)]))
    inbox = Inbox()
    async with connected(amqp_url, (HUB_REPORTS, inbox)):
        await until(lambda: ids(inbox.events) == [1])


async def test_what_arrived_meanwhile_is_one_batch_acknowledged_at_once(amqp_url):
    gate = asyncio.Event()
    inbox = Inbox()

    async def slow(events: Sequence[Event]) -> None:
        await inbox(events)
        await gate.wait()

    async with connected(amqp_url, (HUB_REPORTS, slow)) as bus:
        await bus.publish(publications([started(0)]))
        await until(lambda: len(inbox.batches) == 1)
        for number in range(1, 40):
            await bus.publish(publications([started(number)]))
        await asyncio.sleep(0.2)
        gate.set()
        await until(lambda: len(inbox.events) == 40)
        assert [len(batch) for batch in inbox.batches] == [1, 39]
        await asyncio.sleep(0.2)
    assert await ready_messages(amqp_url, HUB_REPORTS.name) == 0


async def test_a_command_reaches_its_host_and_no_other(amqp_url):
    mine, other = Inbox(), Inbox()
    cancel = new_event(CancelTask(task_id=1, attempt=1), source="/hub")
    (command,) = publications([cancel], exchange=COMMANDS)
    command = Publication(command.exchange, "b1", command.body, command.content_type, mandatory=True)
    async with connected(amqp_url, (host_queue("b1"), mine), (host_queue("b2"), other)) as bus:
        await bus.publish([command])
        await until(lambda: bool(mine.events))
    assert mine.events == [cancel]
    assert other.events == []


async def test_a_mandatory_message_that_no_queue_takes_is_refused_and_the_link_stays(amqp_url):
    async with connected(amqp_url, queues=[HUB_REPORTS]) as bus:
        with pytest.raises(DeborchError) as caught:
            await bus.publish([Publication(COMMANDS, "nobody", b"{}", mandatory=True)])
        assert caught.value.code is ErrorCode.BROKER_UNAVAILABLE
        await bus.publish(publications([started(1)]))
        assert bus.connected


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(UNKNOWN, "application/cloudevents+json"), (b"\x00garbage", None), (b"[1]", "application/cloudevents-batch+json")],
    ids=["unknown version", "garbage", "bad batch"],
)
async def test_a_message_that_cannot_be_read_goes_to_the_dead_letters_once_and_is_counted(amqp_url, body, content_type):
    inbox = Inbox()
    before = buried("unreadable")
    async with connected(amqp_url, (HUB_REPORTS, inbox)) as bus:
        for number in range(3):
            await bus.publish(publications([started(number)]))
            if number == 0:
                await bus.publish([Publication(EVENTS, "build.done", body, content_type or "")])
        await until(lambda: len(inbox.events) == 3)
        assert await dead_letters(amqp_url, 1) == [body]
        assert bus.connected
    assert buried("unreadable") == before + 1
    assert await ready_messages(amqp_url, HUB_REPORTS.name) == 0


async def test_of_many_messages_with_poison_among_them_all_good_ones_are_handled_and_none_is_lost(amqp_url):
    inbox = Inbox()
    async with connected(amqp_url, (HUB_REPORTS, inbox)) as bus:
        messages = []
        for number in range(100):
            messages += publications([started(number)])
            if number % 10 == 0:
                messages.append(Publication(EVENTS, "build.done", UNKNOWN))
        await bus.publish(messages)
        await until(lambda: len(inbox.events) == 100)
        assert len(await dead_letters(amqp_url, 10)) == 10
        assert bus.connected
    assert await ready_messages(amqp_url, HUB_REPORTS.name) == 0


async def test_a_temporary_failure_is_tried_again_in_place_until_it_passes(amqp_url):
    inbox = Inbox()
    failures = 3

    async def handler(events: Sequence[Event]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise DeborchError(ErrorCode.DATABASE_UNAVAILABLE, "away")
        await inbox(events)

    async with connected(amqp_url, (HUB_REPORTS, handler)) as bus:
        await bus.publish(publications([started(1)]))
        await until(lambda: ids(inbox.events) == [1])
    assert await ready_messages(amqp_url, DEAD) == 0


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), DeborchError(ErrorCode.INVALID_INPUT, "never")], ids=["bug", "refusal"]
)
async def test_only_the_message_at_fault_goes_to_the_dead_letters(amqp_url, error):
    inbox = Inbox()
    gate = asyncio.Event()
    before = buried("failed")

    async def handler(events: Sequence[Event]) -> None:
        await gate.wait()
        if 5 in ids(events):
            raise error
        await inbox(events)

    async with connected(amqp_url, (HUB_REPORTS, handler)) as bus:
        for number in range(10):
            await bus.publish(publications([started(number)]))
        gate.set()
        await until(lambda: len(inbox.events) == 9)
        (body,) = await dead_letters(amqp_url, 1)
    assert b'"task_id":5' in body
    assert sorted(ids(inbox.events)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert buried("failed") == before + 1


async def test_what_was_not_acknowledged_comes_again_to_the_next_consumer(amqp_url):
    taken = asyncio.Event()

    async def hang(_: Sequence[Event]) -> None:
        taken.set()
        await asyncio.sleep(60)

    async with connected(amqp_url, (HUB_REPORTS, hang)) as bus:
        await bus.publish(publications([started(1), started(2)]))
        await asyncio.wait_for(taken.wait(), 10)
    inbox = Inbox()
    async with connected(amqp_url, (HUB_REPORTS, inbox)):
        await until(lambda: ids(inbox.events) == [1, 2])


async def test_a_message_that_was_given_up_too_often_is_buried_by_the_broker(amqp_url):
    async with connected(amqp_url, queues=[HUB_REPORTS]) as bus:
        await bus.publish(publications([started(1)]))
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        queue = await (await connection.channel()).get_queue(HUB_REPORTS.name)
        async with asyncio.timeout(30):
            while (message := await queue.get(fail=False)) is not None:
                await message.reject(requeue=True)
                await asyncio.sleep(0.02)
    assert len(await dead_letters(amqp_url, 1)) == 1


async def test_heartbeats_are_dropped_when_nobody_listens_and_no_one_waits_for_a_disk(amqp_url):
    beat = new_event(HostHeartbeat(host="b1"), source="/host/b1")
    inbox = Inbox()
    async with connected(amqp_url, (HUB_HEARTBEATS, inbox)) as bus:
        await bus.publish(publications([beat], durable=False))
        await until(lambda: inbox.events == [beat])


async def test_a_queue_deleted_under_its_consumer_is_declared_again(amqp_url):
    inbox = Inbox()
    async with connected(amqp_url, (HUB_REPORTS, inbox)) as bus:
        links = 0

        def count() -> None:
            nonlocal links
            links += 1

        bus.on_connected.append(count)
        connection = await aio_pika.connect(amqp_url)
        async with connection:
            await (await connection.channel()).queue_delete(HUB_REPORTS.name)
        await until(lambda: links == 1)
        await bus.publish(publications([started(1)]))
        await until(lambda: ids(inbox.events) == [1])


async def test_nothing_to_publish_asks_nothing_of_the_broker():
    await Bus("amqp://127.0.0.1:9", name="test").publish([])


async def test_publishing_without_a_link_is_refused_at_once():
    bus = Bus("amqp://guest:hunter2@127.0.0.1:9", name="test")
    running = asyncio.create_task(bus.run())
    with pytest.raises(DeborchError) as caught:
        await asyncio.wait_for(bus.publish(publications([started(1)])), 2)
    assert caught.value.code is ErrorCode.BROKER_UNAVAILABLE
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_wrong_password_is_logged_without_the_password_and_tried_again(amqp_url, caplog):
    wrong = aio_pika.connection.make_url(amqp_url).with_password("hunter2")
    running = asyncio.create_task(Bus(str(wrong), name="test").run())
    await until(lambda: caplog.text.count("no link to the broker") >= 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "hunter2" not in caplog.text


async def test_reports_that_fit_no_model_are_refused_before_they_are_sent():
    with pytest.raises(ValueError, match="failure_class"):
        BuildDone(task_id=1, attempt=1, host="b1", succeeded=False, failure_class="bad luck")
