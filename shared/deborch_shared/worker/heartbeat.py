"""Signs of life: which attempts are worked on here, which renews their leases."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from deborch_shared.bus import Publication, publications
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError
from deborch_shared.events import Event

_log = logging.getLogger(__name__)


class Link(Protocol):
    """What heartbeats ask of the bus."""

    async def wait_connected(self) -> None: ...

    async def publish(self, publications: Sequence[Publication]) -> None: ...


class Heartbeats:
    """Publishes what `beats` returns; none is kept while the broker is away."""

    def __init__(self, link: Link, beats: Callable[[], Sequence[Event]], clock: Clock) -> None:
        self._link = link
        self._beats = beats
        self._clock = clock

    async def run(self, interval_s: float) -> None:
        """Send at once, whenever the link is there, and then each `interval_s`, until cancelled."""
        while True:
            await self._link.wait_connected()
            await self.send()
            await self._clock.sleep(interval_s)

    async def send(self) -> None:
        try:
            await self._link.publish(publications(self._beats(), durable=False))
        except DeborchError as error:
            _log.info("a heartbeat was not sent: %s", error)
