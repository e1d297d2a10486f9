"""Reports and heartbeats of builders, consumed on the scheduling replica alone: its board must know of them at once."""

from collections.abc import Sequence

from deborch_hub.handlers.context import Context
from deborch_hub.handlers.heartbeats import apply_heartbeats
from deborch_hub.handlers.reports import apply_reports
from deborch_shared.bus import HUB_HEARTBEATS, HUB_REPORTS, Bus
from deborch_shared.events import Event


def listen_to_builders(bus: Bus, context: Context) -> None:
    """Bind the handlers to the hub's queues on `bus`."""

    async def reports(events: Sequence[Event]) -> None:
        await apply_reports(context, events)

    async def heartbeats(events: Sequence[Event]) -> None:
        await apply_heartbeats(context, events)

    bus.consume(HUB_REPORTS, reports)
    bus.consume(HUB_HEARTBEATS, heartbeats, prefetch=200)
