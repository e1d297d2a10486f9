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
from deborch_shared.bus import COMMANDS, EVENTS, Bus, Publication
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError
from deborch_shared.events import BATCH_CONTENT_TYPE

_log = logging.getLogger(__name__)
_sent = Counter("deborch_hub_outbox_sent_total", "Outbox messages confirmed by the broker")
_queued = Gauge("deborch_hub_outbox_queued", "Committed messages that wait in memory to be sent")
MAX_IN_MEMORY = 5_000
BATCH = 100
COMMAND_FLUSHES = 4
EVENT_PAUSE_S = 0.05
"""Between two flushes of events: the first after a rest goes at once, in a rush those that follow share messages."""
FORGET_EVERY_S = 0.1
SWEEP_EVERY_S = 2.0
OVERDUE_S = 2.0


class OutboxRelay:
    """Sends outbox rows. `push` takes fresh ones, `sweep` finds the overdue ones on the scheduling replica.

    Commands to hosts go at once, side by side. Events have a lane in which one flush is under way at a time: what
    gathers meanwhile travels together, one message for each type.
    """

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._commands: deque[OutboxMessage] = deque()
        self._events: deque[OutboxMessage] = deque()
        self._arrived = {COMMANDS: asyncio.Event(), EVENTS: asyncio.Event()}
        self._confirmed: list[int] = []
        self._in_hand: set[int] = set()

    def push(self, messages: Sequence[OutboxMessage]) -> None:
        """Send these soon; past a bound in memory they are left to the sweep."""
        if len(self._commands) + len(self._events) + len(messages) > MAX_IN_MEMORY:
            return
        for message in messages:
            lane = self._commands if message.exchange == COMMANDS else self._events
            lane.append(message)
            self._in_hand.add(message.id)
            self._arrived[COMMANDS if lane is self._commands else EVENTS].set()
        _queued.set(len(self._commands) + len(self._events))

    async def run(self) -> None:
        """Send fresh messages until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_commands(group))
            group.create_task(self._send_events())
            group.create_task(self._forget_confirmed())

    async def _send_commands(self, group: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(COMMAND_FLUSHES)
        while True:
            await self._arrived[COMMANDS].wait()
            self._arrived[COMMANDS].clear()
            while self._commands:
                await room.acquire()
                batch = _take(self._commands)
                task = group.create_task(self._send_fresh(batch))
                task.add_done_callback(lambda _: room.release())

    async def _send_events(self) -> None:
        while True:
            await self._arrived[EVENTS].wait()
            self._arrived[EVENTS].clear()
            while self._events:
                await self._send_fresh(_take(self._events))
                await asyncio.sleep(EVENT_PAUSE_S)

    async def _send_fresh(self, batch: Sequence[OutboxMessage]) -> None:
        try:
            await self._bus.publish(_merged(batch))
        except DeborchError as error:
            _log.warning("%d messages are left to the sweep: %s", len(batch), error)
            self._in_hand.difference_update(message.id for message in batch)
        else:
            self._confirmed += [message.id for message in batch]
            _sent.inc(len(batch))

    async def _forget_confirmed(self) -> None:
        """Delete confirmed rows a few times a second: a crash before that sends them twice, which is allowed."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            if not self._confirmed:
                continue
            ids, self._confirmed = self._confirmed, []
            try:
                await self._database.execute(SQL["delete_messages"], ids)
            except DeborchError as error:
                _log.warning("%d sent messages stay in the outbox and go out again: %s", len(ids), error)
            self._in_hand.difference_update(ids)

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
            await self._bus.publish(_merged(messages))
            await self._database.execute(SQL["delete_messages"], [message.id for message in messages])
            _sent.inc(len(messages))
        return len(messages) == BATCH


def _take(lane: deque[OutboxMessage]) -> list[OutboxMessage]:
    return [lane.popleft() for _ in range(min(BATCH, len(lane)))]


def _merged(messages: Sequence[OutboxMessage]) -> list[Publication]:
    """As few messages as carry these, in the order of the first of each exchange and key."""
    groups: dict[tuple[str, str], list[OutboxMessage]] = {}
    for message in messages:
        groups.setdefault((message.exchange, message.routing_key), []).append(message)
    publications = []
    for (exchange, key), group in groups.items():
        if len(group) == 1:
            publications.append(Publication(exchange, key, group[0].body, group[0].content_type))
            continue
        items = [m.body[1:-1] if m.content_type == BATCH_CONTENT_TYPE else m.body for m in group]
        publications.append(Publication(exchange, key, b"[" + b",".join(items) + b"]", BATCH_CONTENT_TYPE))
    return publications
