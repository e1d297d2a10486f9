"""Reports to the hub: what has gathered while the last message was being confirmed travels in the next one.

A batch never waits for company. What the broker does not confirm goes to the spool, and the spool goes first when
the broker is back. Delivery is at least once; the attempt in each report makes that harmless.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from deborch_shared.bus import Publication, publications
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import EventData
from deborch_shared.worker.spool import Spool

_log = logging.getLogger(__name__)
_SPOOL_BATCH = 200
_RETRY_S = 1.0
_PAUSE_S = 0.02
"""Between two flushes: the first report after a rest goes at once, in a rush those that follow share messages."""


class Link(Protocol):
    """What the reporter asks of `deborch_shared.bus.Bus`."""

    on_connected: list[Callable[[], None]]

    @property
    def connected(self) -> bool: ...

    async def publish(self, publications: Sequence[Publication]) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How one kind of daemon reports."""

    source: str
    """Of the events, such as `/builder/NAME`; `{}` in it is the report's field `author`."""
    author: str
    order: Sequence[str]
    """Events of one type share a message, so the messages go in an order that lets nothing end before it starts."""
    needed: Callable[[Sequence[Event]], Sequence[Event]] = lambda events: events
    """Which of the reports of one flush need to travel."""


class ReportSender:
    """Sends reports in order, in as few messages as they fit, while `run` runs."""

    def __init__(self, link: Link, spool: Spool, clock: Clock, rules: Rules) -> None:
        self._rules = rules
        self._link = link
        self._spool = spool
        self._clock = clock
        self._pending: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        link.on_connected.append(self._wake.set)

    def submit(self, *reports: EventData) -> None:
        """Queue `reports` without waiting for them."""
        self._pending.extend(
            new_event(report, source=self._rules.source.format(getattr(report, self._rules.author)))
            for report in reports
        )
        self._wake.set()

    async def report(self, *reports: EventData) -> None:
        """Queue `reports` and wait until the broker has confirmed them or they are on disk."""
        if not reports:
            return
        self.submit(*reports)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(kept)
        await kept

    async def run(self) -> None:
        """Send until cancelled; what is pending then goes to the spool."""
        self._wake.set()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_all()
        finally:
            self._keep_the_rest()

    async def flushed(self, timeout_s: float) -> bool:
        """Whether everything is confirmed within `timeout_s`, while `run` runs."""
        self._idle.clear()
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _send_all(self) -> None:
        while self._pending or self._spool:
            try:
                if not self._link.connected:
                    await self._keep_pending()
                    return
                if self._spool:
                    await self._send_spooled()
                else:
                    await self._send_pending()
                    await self._clock.sleep(_PAUSE_S)
            except DeborchError as error:
                _log.warning("reports wait on this host: %s", error)
                await self._clock.sleep(_RETRY_S)
        self._idle.set()

    async def _send_spooled(self) -> None:
        found = await asyncio.to_thread(self._spool.oldest, _SPOOL_BATCH)
        await self._link.publish(self._messages([event for _, event in found]))
        self._spool.remove(name for name, _ in found)

    async def _send_pending(self) -> None:
        events, waiting = self._take()
        try:
            await self._link.publish(self._messages(events))
        except DeborchError:
            self._give_back(events, waiting)
            await self._keep_pending()
            raise
        except BaseException:
            self._give_back(events, waiting)
            raise
        _settle(waiting)

    async def _keep_pending(self) -> None:
        """Move what is pending to the spool; if that fails, it stays pending."""
        events, waiting = self._take()
        try:
            await asyncio.to_thread(self._spool.add, events)
        except BaseException:
            self._give_back(events, waiting)
            raise
        _settle(waiting)

    def _keep_the_rest(self) -> None:
        events, waiting = self._take()
        try:
            self._spool.add(events)
        except DeborchError as error:
            _log.error("%d reports are lost, the leases of their tasks will run out: %s", len(events), error)
        _settle(waiting)

    def _messages(self, events: Sequence[Event]) -> list[Publication]:
        order = self._rules.order
        return publications(sorted(self._rules.needed(events), key=lambda event: order.index(event.type)))

    def _take(self) -> tuple[list[Event], list["asyncio.Future[None]"]]:
        taken = self._pending, self._waiting
        self._pending, self._waiting = [], []
        return taken

    def _give_back(self, events: list[Event], waiting: list["asyncio.Future[None]"]) -> None:
        self._pending[:0] = events
        self._waiting[:0] = waiting


def _settle(waiting: list["asyncio.Future[None]"]) -> None:
    for kept in waiting:
        if not kept.done():
            kept.set_result(None)
