"""A bus ends when it is told to, at whatever moment of its start that is."""

import asyncio
from collections.abc import Sequence

import pytest

from deborch_shared.bus import HUB_HEARTBEATS, HUB_REPORTS, Bus
from deborch_shared.events import Event

_MOMENTS = 60
_STEP_S = 0.0005


async def ignore(_: Sequence[Event]) -> None:
    pass


@pytest.mark.parametrize("connected", [False, True])
async def test_a_bus_that_is_cancelled_while_it_starts_ends_soon(amqp_url: str, connected: bool) -> None:
    for moment in range(_MOMENTS):
        bus = Bus(amqp_url, name="test")
        bus.consume(HUB_REPORTS, ignore)
        bus.consume(HUB_HEARTBEATS, ignore)
        running = asyncio.create_task(bus.run())
        if connected:
            await bus.wait_connected()
        await asyncio.sleep(moment * _STEP_S)
        running.cancel()
        _, still_running = await asyncio.wait([running], timeout=5)
        assert not still_running, f"cancelled {moment * _STEP_S * 1000:.1f} ms after the start"
