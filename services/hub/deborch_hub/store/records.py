"""What a change tells the world: event rows for those who watch, outbox rows for the broker.

Events of one type share a message, and the commands for one host share one, each body encoded once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from deborch_hub.store.id_blocks import IdBlocks
from deborch_hub.store.queries import SQL
from deborch_shared.bus import COMMANDS, EVENTS
from deborch_shared.db import Connection
from deborch_shared.events import BATCH_CONTENT_TYPE, CONTENT_TYPE, Event, encode

MAX_ITEMS_PER_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One row of the outbox."""

    id: int
    exchange: str
    routing_key: str
    content_type: str
    body: bytes


@dataclass(slots=True)
class Records:
    """Events and commands collected for one commit, and their columns for the queries that write them."""

    types: list[str] = field(default_factory=list)
    task_ids: list[int | None] = field(default_factory=list)
    build_ids: list[int | None] = field(default_factory=list)
    compose_ids: list[int | None] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    messages: list[OutboxMessage] = field(default_factory=list)

    def event_columns(self) -> tuple[list[str], list[int | None], list[int | None], list[str]]:
        return self.types, self.task_ids, self.build_ids, self.bodies

    def message_columns(self) -> tuple[list[int], list[str], list[str], list[str], list[bytes]]:
        rows = self.messages
        return (
            [row.id for row in rows],
            [row.exchange for row in rows],
            [row.routing_key for row in rows],
            [row.content_type for row in rows],
            [row.body for row in rows],
        )


async def make_records(
    ids: IdBlocks,
    events: Sequence[Event],
    commands: Sequence[tuple[str, Event]] = (),
    connection: "Connection | None" = None,
) -> Records:
    """The rows for `events` and for `commands` (host name, command), messages numbered in order. `connection`: the
    caller's own, if it holds one."""
    records = Records()
    groups: dict[tuple[str, str], list[bytes]] = {}
    for event in events:
        body = encode(event)
        records.types.append(event.type)
        records.task_ids.append(getattr(event.data, "task_id", None))
        records.build_ids.append(getattr(event.data, "build_id", None))
        records.compose_ids.append(getattr(event.data, "compose_id", None))
        records.bodies.append(body.decode())
        groups.setdefault((EVENTS, event.type), []).append(body)
    for host, command in commands:
        groups.setdefault((COMMANDS, host), []).append(encode(command))
    chunks = [
        (exchange, key, bodies[start : start + MAX_ITEMS_PER_MESSAGE])
        for (exchange, key), bodies in groups.items()
        for start in range(0, len(bodies), MAX_ITEMS_PER_MESSAGE)
    ]
    # Commands go first: a host that waits matters more than a watcher.
    chunks.sort(key=lambda chunk: chunk[0] != COMMANDS)
    for message_id, (exchange, key, bodies) in zip(await ids.take(len(chunks), connection), chunks, strict=True):
        single = len(bodies) == 1
        content_type = CONTENT_TYPE if single else BATCH_CONTENT_TYPE
        body = bodies[0] if single else b"[" + b",".join(bodies) + b"]"
        records.messages.append(OutboxMessage(message_id, exchange, key, content_type, body))
    return records


async def write_records(connection: Connection, records: Records) -> None:
    """Write event and outbox rows in the caller's transaction."""
    if records.types or records.messages:
        await connection.execute(
            SQL["record"], *records.event_columns(), *records.message_columns(), records.compose_ids
        )
