"""The feed of events: one reader a process, in commit order, fanned out to everyone who watches.

A row is taken once its transaction is older than every running one (`pg_snapshot_xmin`), so that none appears behind
a reader. A watcher who comes back names the last event it saw and gets the rest from the table, then live ones.
Nothing runs and nothing is asked of the database while nobody watches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from deborch_hub.store.event_listener import listen
from deborch_hub.store.queries import SQL
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode

_log = logging.getLogger(__name__)
_PAGE = 500
_POLL_S = 1.0
_PAUSE_S = 0.01
"""Between two reads: bounds the load of a busy time, and is how soon an unsettled event is looked at again."""
_RETRY_S = 0.5
MAX_WAITING_EVENTS = 2_000
"""How far a watcher may fall behind before it is cut off and has to resume."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the record of events; written `<xid>-<seq>`."""

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The inverse of `str`.

        Raises:
            DeborchError: INVALID_INPUT if it is not of that form.
        """
        xid, _, seq = text.partition("-")
        if not (xid.isdecimal() and seq.isdecimal() and int(xid) < 2**64 and int(seq) < 2**63):
            raise DeborchError(
                ErrorCode.INVALID_INPUT,
                "Last-Event-ID is not the id of an event",
                hint="send the id of the last event that you got, or leave the header out",
            )
        return cls(int(xid), int(seq))


START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event: where it stands, what it is about, and the CloudEvent as JSON."""

    position: Position
    type: str
    task_id: int | None
    build_id: int | None
    body: str
    compose_id: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a watcher asks for; None: all."""

    types: frozenset[str] | None = None
    build_id: int | None = None
    task_id: int | None = None
    compose_id: int | None = None

    def matches(self, event: RecordedEvent) -> bool:
        return (
            (self.types is None or event.type in self.types)
            and (self.build_id is None or event.build_id == self.build_id)
            and (self.task_id is None or event.task_id == self.task_id)
            and (self.compose_id is None or event.compose_id == self.compose_id)
        )


class FeedEndedError(Exception):
    """No more events come here: the watcher was too slow, or the process stops. It may resume."""


class Subscription:
    """One watcher's view of the feed."""

    def __init__(self, feed: "EventFeed", wanted: Wanted, after: Position | None, *, follow: bool = True) -> None:
        self.wanted = wanted
        self._follow = follow
        self.position = after
        self._feed = feed
        self._live = False
        self._missed: list[RecordedEvent] = []
        self._waiting: deque[RecordedEvent] = deque()
        self._arrived = asyncio.Event()
        self._ended = ""

    async def start(self) -> None:
        """Read the first page of what was missed, so that a database that is away is known before anything is sent."""
        self._missed = await self._catch_up()

    async def take(self, wait_s: float) -> list[RecordedEvent]:
        """The events that are here, or that come within `wait_s`; empty if none does.

        Raises:
            FeedEndedError: when there will be no more.
        """
        missed, self._missed = self._missed, []
        if missed or (not self._live and (missed := await self._catch_up())):
            return missed
        if not self._waiting and not self._ended:
            self._arrived.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        events = [event for event in self._waiting if self.position is None or event.position > self.position]
        self._waiting.clear()
        if events:
            self.position = events[-1].position
        elif self._ended:
            raise FeedEndedError(self._ended)
        return events

    def offer(self, events: Sequence[RecordedEvent]) -> None:
        """Called by the feed; a watcher that does not keep up is cut off."""
        if self._ended:
            return
        self._waiting.extend(event for event in events if self.wanted.matches(event))
        if len(self._waiting) > self._feed.max_waiting_events:
            self._waiting.clear()
            self.end("too slow")
        elif self._waiting:
            self._arrived.set()

    def end(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._arrived.set()

    async def _catch_up(self) -> list[RecordedEvent]:
        """The next page of what was missed; once the last one has been read, the live events follow."""
        missed: list[RecordedEvent] = []
        if self.position is not None:
            head = await self._feed.head()
            missed = await self._feed.past(self.wanted, self.position, head, _PAGE)
            if len(missed) == _PAGE:
                self.position = missed[-1].position
                return missed
            self.position = max(self.position, head)
        if not self._follow:
            self._live = True
            self.end("that is all")
            return missed
        joined_at = await self._feed.join(self)
        self._live = True
        if self.position is None:
            self.position = joined_at
        else:
            missed += await self._feed.past(self.wanted, self.position, joined_at, None)
            self.position = max(self.position, joined_at)
        return missed


class EventFeed:
    """Reads the `event` table for all watchers of this process; `run` does the work until it is cancelled."""

    def __init__(self, database: Database, dsn: str, *, max_waiting_events: int = MAX_WAITING_EVENTS) -> None:
        self.max_waiting_events = max_waiting_events
        self._database = database
        self._dsn = dsn
        self._position: Position | None = None
        self._subscriptions: set[Subscription] = set()
        self._watched = asyncio.Event()
        self._woken = asyncio.Event()
        self._joining = asyncio.Lock()
        self._closed = False

    def wake(self) -> None:
        """Events were committed. Cheap; call it after every such commit."""
        self._woken.set()

    @asynccontextmanager
    async def subscribe(
        self, wanted: Wanted, after: Position | None = None, *, follow: bool = True
    ) -> AsyncIterator[Subscription]:
        """Watch `wanted` from now on, or from just behind `after`; without `follow` only what is recorded by now."""
        subscription = Subscription(self, wanted, after, follow=follow)
        try:
            await subscription.start()
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def run(self) -> None:
        """Feed the watchers; sleeps while there is none."""
        while True:
            await self._watched.wait()
            async with listen(self._dsn, self.wake):
                while self._subscriptions:
                    await self._read_and_wait()
            self._watched.clear()
            if self._subscriptions:
                self._watched.set()
            else:
                self._position = None

    def close(self) -> None:
        """End all subscriptions, and those to come: the process is about to stop."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end("the hub stops")

    async def join(self, subscription: Subscription) -> Position:
        """Let `subscription` have what is read from now on; gives the place that this begins behind."""
        async with self._joining:
            position = self._position = self._position or await self.head()
            self._subscriptions.add(subscription)
            self._watched.set()
            if self._closed:
                subscription.end("the hub stops")
            return position

    async def head(self) -> Position:
        """The newest event behind which no older one can appear any more."""
        row = await self._database.fetchrow(SQL["read_event_head"])
        return Position(int(row["xid"]), row["seq"]) if row else START

    async def past(self, wanted: Wanted, after: Position, until: Position, limit: int | None) -> list[RecordedEvent]:
        """Recorded events behind `after`, up to and with `until`."""
        types = None if wanted.types is None else sorted(wanted.types)
        args = [str(after.xid), after.seq, str(until.xid), until.seq, limit, types, wanted.task_id]
        if wanted.compose_id is not None:
            rows = await self._database.fetch(SQL["read_past_events_of_compose"], *args, wanted.compose_id)
        elif wanted.build_id is not None:
            rows = await self._database.fetch(SQL["read_past_events_of_build"], *args, wanted.build_id)
        else:
            rows = await self._database.fetch(SQL["read_past_events"], *args)
        return [_event(row) for row in rows]

    async def _read_and_wait(self) -> None:
        self._woken.clear()
        try:
            more_soon = await self._read()
        except DeborchError as error:
            if not error.temporary:
                raise
            _log.warning("events cannot be read now: %s", error)
            await asyncio.sleep(_RETRY_S)
            return
        await asyncio.sleep(_PAUSE_S)
        if not more_soon:
            try:
                async with asyncio.timeout(_POLL_S):
                    await self._woken.wait()
            except TimeoutError:
                return

    async def _read(self) -> bool:
        """Hand out what is new; True if there is more to read at once or almost at once."""
        position = self._position or START
        rows = await self._database.fetch(SQL["read_events"], str(position.xid), position.seq, _PAGE)
        events = [_event(row) for row in rows if row["settled"]]
        if events:
            self._position = events[-1].position
            for subscription in list(self._subscriptions):
                subscription.offer(events)
        return len(rows) == _PAGE or len(events) < len(rows)


def _event(row: asyncpg.Record) -> RecordedEvent:
    position = Position(int(row["xid"]), row["seq"])
    return RecordedEvent(position, row["type"], row["task_id"], row["build_id"], row["body"], row["compose_id"])
