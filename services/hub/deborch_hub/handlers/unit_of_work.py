"""One transaction with what it tells the world: state, events and messages are durable together or not at all.

After the commit the messages are handed to the relay, the scheduler and the watchers are woken. A crash before
that loses nothing: the outbox still has the messages.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from deborch_hub.store.id_blocks import IdBlocks
from deborch_hub.store.records import OutboxMessage, make_records, write_records
from deborch_shared.db import Connection, Database
from deborch_shared.events import Event, EventData, new_event
from deborch_shared.telemetry import current_traceparent

SOURCE = "/hub"


class Relay(Protocol):
    """Sends messages that are committed."""

    def push(self, messages: Sequence[OutboxMessage]) -> None: ...


@dataclass(slots=True)
class Work:
    """What happens in one transaction."""

    connection: Connection
    events: list[Event] = field(default_factory=list)
    commands: list[tuple[str, Event]] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    def tell(self, data: EventData) -> None:
        """This has happened."""
        self.events.append(new_event(data, source=SOURCE, traceparent=current_traceparent()))

    def command(self, host: str, data: EventData) -> None:
        """Tell that host to do this."""
        self.commands.append((host, new_event(data, source=SOURCE, traceparent=current_traceparent())))


class Transactions:
    """Makes units of work, and wakes who waits for their outcome."""

    def __init__(self, database: Database, *, outbox_ids: IdBlocks, relay: Relay, wake: Callable[[], None]) -> None:
        self.database = database
        self.outbox_ids = outbox_ids
        self.relay = relay
        self.wake = wake

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Work]:
        """A transaction; at its end events and messages are written, committed and handed on."""
        async with self.database.transaction() as connection:
            work = Work(connection)
            yield work
            records = await make_records(self.outbox_ids, work.events, work.commands, connection)
            await write_records(connection, records)
        self.committed(records.messages)
        for callback in work.after_commit:
            callback()

    def committed(self, messages: Sequence[OutboxMessage]) -> None:
        """Hand on what a commit has made durable."""
        self.relay.push(messages)
        self.wake()
