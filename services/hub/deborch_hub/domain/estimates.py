"""What a build will ask of a host and how long it will take, from what earlier builds of the same source used."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from deborch_hub.domain.matching import Demand

LOOKED_AT = 5
"""Earlier builds that count: the newest say most of the next one."""
_MARGIN = 1.25
_MIB = 1024**2
_LEAST_MEMORY_BYTES = 256 * _MIB
_LEAST_DISK_BYTES = 512 * _MIB


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one successful build used. None: its host did not count it."""

    wall_s: float
    cpu_s: float
    memory_peak_bytes: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Largest:
    """The most that any one host of the architecture has; a build that asks for more would wait for ever."""

    memory_bytes: int
    disk_bytes: int


def demand_of(default: Demand, measured: Sequence[Measurement], largest: Largest | None) -> Demand:
    """`default`, with memory and disk by the highest of `measured` and a margin, and no processors that were idle."""
    measured = measured[:LOOKED_AT]
    memory = [one.memory_peak_bytes for one in measured if one.memory_peak_bytes is not None]
    disk = [one.disk_bytes for one in measured if one.disk_bytes is not None]
    busy = [one.cpu_s / one.wall_s for one in measured if one.wall_s > 0 and one.cpu_s > 0]
    return replace(
        default,
        cpu=min(default.cpu, max(1, math.ceil(max(busy) * _MARGIN))) if busy else default.cpu,
        memory_bytes=_asked(
            memory, _LEAST_MEMORY_BYTES, largest.memory_bytes if largest else None, default.memory_bytes
        ),
        disk_bytes=_asked(disk, _LEAST_DISK_BYTES, largest.disk_bytes if largest else None, default.disk_bytes),
    )


def expected_s(measured: Sequence[Measurement]) -> float | None:
    """How long the next build will take, of which nothing is known without `measured`."""
    walls = [one.wall_s for one in measured[:LOOKED_AT]]
    return median(walls) if walls else None


def _asked(used: Sequence[int], least: int, most: int | None, default: int) -> int:
    if not used:
        return default
    asked = max(least, _step_above(int(max(used) * _MARGIN)))
    return asked if most is None else min(asked, max(most, least))


def _step_above(size_bytes: int) -> int:
    """Powers of two and the middle between two: builds that need about the same share a class of demands."""
    step = _MIB
    while step < size_bytes:
        if step + step // 2 >= size_bytes:
            return step + step // 2
        step *= 2
    return step
