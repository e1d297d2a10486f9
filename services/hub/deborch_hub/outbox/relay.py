"""Publishes what is committed: at once from memory, and what a crash or an outage left behind from the table.

A row is deleted after the broker has confirmed it, so that each message goes out at least once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from prometheus_client import Counter, Gauge

from deborch_hub.store.queries import SQL
from deborch_hub.store.records import OutboxMessage
from deborch_shared.bus import Bus, Publication
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError

_log = logging.getLogger(__name__)
_sent = Counter("deborch_hub_outbox_sent_total", "Outbox messages confirmed by the broker")
_queued = Gauge("deborch_hub_outbox_queued", "Committed messages that wait in memory to be sent")
MAX_IN_MEMORY = 5_000
BATCH = 100
SWEEP_EVERY_S = 2.0
OVERDUE_S = 2.0


class OutboxRelay:
    """Sends outbox rows. `push` takes fresh ones, `sweep` finds the overdue ones on the scheduling replica."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._fresh: deque[OutboxMessage] = deque()
        self._arrived = asyncio.Event()
        self._in_hand: set[int] = set()

    def push(self, messages: Sequence[OutboxMessage]) -> None:
        """Send these soon; past a bound in memory they are left to the sweep."""
        if len(self._fresh) + len(messages) > MAX_IN_MEMORY:
            return
        self._fresh.extend(messages)
        self._in_hand.update(message.id for message in messages)
        _queued.set(len(self._fresh))
        self._arrived.set()

    async def run(self) -> None:
        """Send fresh messages until cancelled, several batches under way at once."""
        room = asyncio.Semaphore(4)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._fresh:
                    await room.acquire()
                    batch = [self._fresh.popleft() for _ in range(min(BATCH, len(self._fresh)))]
                    task = group.create_task(self._send_fresh(batch))
                    task.add_done_callback(lambda _: room.release())
                _queued.set(0)

    async def _send_fresh(self, batch: Sequence[OutboxMessage]) -> None:
        try:
            await self._send(batch)
        except DeborchError as error:
            _log.warning("%d messages are left to the sweep: %s", len(batch), error)
        finally:
            self._in_hand.difference_update(message.id for message in batch)

    async def _send(self, batch: Sequence[OutboxMessage]) -> None:
        publications = [
            Publication(message.exchange, message.routing_key, message.body, message.content_type) for message in batch
        ]
        await self._bus.publish(publications)
        await self._database.execute(SQL["delete_messages"], [message.id for message in batch])
        _sent.inc(len(batch))

    async def sweep(self) -> None:
        """Send overdue messages, oldest first, until cancelled."""
        while True:
            try:
                while self._bus.connected and await self._sweep_once():
                    pass
            except DeborchError as error:
                if not error.temporary:
                    raise
                _log.warning("overdue messages wait: %s", error)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _sweep_once(self) -> bool:
        rows = await self._database.fetch(SQL["overdue_messages"], OVERDUE_S, BATCH)
        messages = [OutboxMessage(**row) for row in rows if row["id"] not in self._in_hand]
        if messages:
            await self._send(messages)
        return len(messages) == BATCH
