"""What hub, auth and builder cost together when nothing happens."""

import asyncio
import time

import psutil
from tests.bench.figures import Figure
from tests.bench.rig import Rig

BAR_PERCENT = 2.0
_SETTLE_S = 3.0


async def idle_cpu(rig: Rig, duration_s: float) -> Figure:
    """The share of one core; children, ended ones too, count for the service that started them."""
    services = [psutil.Process(service.process.pid) for service in rig.stack.services.values()]
    await asyncio.sleep(_SETTLE_S)
    before_s, began = _cpu_s(services), time.monotonic()
    await asyncio.sleep(duration_s)
    percent = 100 * (_cpu_s(services) - before_s) / (time.monotonic() - began)
    return Figure.at_most("idle CPU of hub, auth and builder", percent, "% of a core", BAR_PERCENT)


def _cpu_s(services: list[psutil.Process]) -> float:
    """Seconds of processor time so far."""
    total = 0.0
    for service in services:
        for process in (service, *service.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
