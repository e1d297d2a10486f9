"""Signs of life: how loaded this host is and which attempts it works on, which renews their leases."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from deborch_shared.bus import Publication, publications
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError
from deborch_shared.events import new_event
from deborch_shared.events.model import HostHeartbeat

_log = logging.getLogger(__name__)


class Link(Protocol):
    """What heartbeats ask of the bus."""

    async def wait_connected(self) -> None: ...

    async def publish(self, publications: Sequence[Publication]) -> None: ...


async def send_heartbeats(
    link: Link, beats: Callable[[], Sequence[HostHeartbeat]], *, interval_s: float, clock: Clock
) -> None:
    """Publish what `beats` returns at once and then each `interval_s`; none is kept while the broker is away."""
    while True:
        await link.wait_connected()
        events = [new_event(beat, source=f"/builder/{beat.host}") for beat in beats()]
        try:
            await link.publish(publications(events, durable=False))
        except DeborchError as error:
            _log.info("a heartbeat was not sent: %s", error)
        await clock.sleep(interval_s)
