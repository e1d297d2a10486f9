"""What the hub does with messages on its queue of reports that no builder of ours would send."""

import asyncio
import json
from typing import Any

import aio_pika
import pytest
from prometheus_client import REGISTRY
from tests.integration.hub.harness import ADMIN, StartBuilder, StartReplica
from tests.integration.hub.test_task_life import leading

from deborch_shared.bus import EVENTS, HUB_HEARTBEATS, HUB_REPORTS
from deborch_shared.bus.topology import DEAD
from deborch_shared.contract.builds import TaskCreate
from deborch_shared.events import BATCH_CONTENT_TYPE, CONTENT_TYPE
from deborch_shared.events.model import HostHeartbeat

REPORT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/builder/x",
    "type": "build.done",
    "dataschema": "urn:deborch:event:build.done:1",
    "data": {"task_id": 1, "attempt": 1, "host": "x", "succeeded": True},
}


def buried(queue: str = HUB_REPORTS.name) -> float:
    labels = [{"queue": queue, "reason": reason} for reason in ("unreadable", "failed")]
    return sum(REGISTRY.get_sample_value("deborch_bus_dead_letters_total", each) or 0.0 for each in labels)


async def publish(url: str, body: bytes, content_type: str = CONTENT_TYPE, routing_key: str = "build.done") -> None:
    """As a stranger with the broker's password would."""
    connection = await aio_pika.connect(url)
    async with connection:
        exchange = await (await connection.channel()).get_exchange(EVENTS)
        await exchange.publish(aio_pika.Message(body, content_type=content_type), routing_key)


async def dead_letter(url: str, within_s: float = 10) -> bytes:
    connection = await aio_pika.connect(url)
    async with connection, asyncio.timeout(within_s):
        queue = await (await connection.channel()).get_queue(DEAD)
        while (message := await queue.get(fail=False, no_ack=True)) is None:
            await asyncio.sleep(0.02)
        return message.body


def event(**changes: Any) -> bytes:
    return json.dumps({**REPORT, **changes}).encode()


def heartbeat(**data: Any) -> bytes:
    known = {"type": "host.heartbeat", "dataschema": "urn:deborch:event:host.heartbeat:1"}
    return event(**known, data={"host": "b1", **data})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (event(type="build.vanished", dataschema="urn:deborch:event:build.vanished:1"), CONTENT_TYPE),
        (event(dataschema="urn:deborch:event:build.done:99"), CONTENT_TYPE),
        (event(dataschema={"a": 1}, type=["x"]), CONTENT_TYPE),
        (event(data={"task_id": "one"}), CONTENT_TYPE),
        (event(data={**REPORT["data"], "task_id": 2**70}), CONTENT_TYPE),
        (event(time=17), CONTENT_TYPE),
        (b"[" + event() + b", 7]", BATCH_CONTENT_TYPE),
        (b"[" * 100_000, CONTENT_TYPE),
        (b"\xff\xfe", "text/plain"),
        (b"", CONTENT_TYPE),
    ],
    ids=[
        "unknown type", "unknown version", "nonsense for a type", "other fields", "number out of range", "other time",
        "half a batch", "deep nesting", "no JSON", "nothing",
    ],
)  # fmt: skip
async def test_what_cannot_be_used_goes_to_the_dead_letters_and_the_hub_goes_on(
    start_replica: StartReplica, start_builder: StartBuilder, amqp_url: str, body: bytes, content_type: str
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    before = buried()
    await publish(amqp_url, body, content_type)
    assert await dead_letter(amqp_url) == body
    assert buried() == before + 1
    task = await replica.hub.create_task(TaskCreate(kind="noop", architecture="amd64"), ADMIN, None)
    await builder.finish(await builder.assignment())
    await replica.until(task.id, "completed")


@pytest.mark.parametrize(
    "body",
    [
        event(type="host.sang", dataschema="urn:deborch:event:host.sang:1", data={}),
        heartbeat(running=[{"task_id": 2**70, "attempt": 1}]),
        heartbeat(running=[{"task_id": 1, "attempt": 1, "stage": "x" * 81}]),
    ],
    ids=["unknown type", "number out of range", "endless stage"],
)
async def test_a_strange_heartbeat_is_dropped_and_counted_and_others_are_heard(
    start_replica: StartReplica, start_builder: StartBuilder, amqp_url: str, body: bytes
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    before = buried(HUB_HEARTBEATS.name)
    await publish(amqp_url, body, routing_key="host.heartbeat")
    await builder.say(HostHeartbeat(host=builder.name, load_1m=7.5))
    async with asyncio.timeout(10):
        while await replica.database.fetchval("SELECT load_1m FROM host") != 7.5:
            await asyncio.sleep(0.02)
        while buried(HUB_HEARTBEATS.name) != before + 1:
            await asyncio.sleep(0.02)


async def test_a_report_with_characters_that_the_database_cannot_hold_still_ends_its_attempt(
    start_replica: StartReplica, start_builder: StartBuilder, amqp_url: str
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(TaskCreate(kind="noop", architecture="amd64"), ADMIN, None)
    order = await builder.assignment()
    await builder.finish(order, succeeded=False, failure_class="compile", message="a\x00b", missing=("c\x00",))
    row = await replica.until(task.id, "failed")
    assert row["message"] == "a\N{REPLACEMENT CHARACTER}b"
