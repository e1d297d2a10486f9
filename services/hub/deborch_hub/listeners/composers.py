"""Reports and heartbeats of composers, consumed on the scheduling replica alone, as those of builders are."""

from collections.abc import Sequence

from deborch_hub.handlers.compose_reports import apply_compose_reports, apply_composer_heartbeats
from deborch_hub.handlers.context import Context
from deborch_shared.bus import HUB_COMPOSERS, HUB_COMPOSES, Bus
from deborch_shared.events import Event


def listen_to_composers(bus: Bus, context: Context) -> None:
    """Bind the handlers to the hub's queues on `bus`."""

    async def reports(events: Sequence[Event]) -> None:
        await apply_compose_reports(context, events)

    async def heartbeats(events: Sequence[Event]) -> None:
        await apply_composer_heartbeats(context, events)

    bus.consume(HUB_COMPOSES, reports)
    bus.consume(HUB_COMPOSERS, heartbeats, prefetch=200)
