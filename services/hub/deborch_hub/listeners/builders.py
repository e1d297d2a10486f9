"""Reports and heartbeats of builders, consumed on the scheduling replica alone: its board must know of them at once."""

from collections.abc import Sequence

from deborch_hub.handlers.context import Context
from deborch_hub.handlers.heartbeats import apply_heartbeats
from deborch_hub.handlers.reports import apply_reports
from deborch_shared.bus import HUB_HEARTBEATS, HUB_REPORTS, Bus
from deborch_shared.events import Event

REPORT_PAUSE_S = 0.02
"""Nobody waits for the record of an end as for a start: in a rush, fewer and larger transactions are worth this."""


def listen_to_builders(bus: Bus, context: Context) -> None:
    """Bind the handlers to the hub's queues on `bus`."""

    async def reports(events: Sequence[Event]) -> None:
        await apply_reports(context, events)

    async def heartbeats(events: Sequence[Event]) -> None:
        await apply_heartbeats(context, events)

    bus.consume(HUB_REPORTS, reports, pause_s=REPORT_PAUSE_S)
    bus.consume(HUB_HEARTBEATS, heartbeats, prefetch=200)
