"""Room on the disks that work writes to: too little of it, and caches are thinned out and no work is taken."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from prometheus_client import Gauge

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError

_log = logging.getLogger(__name__)
_pressed = Gauge("deborch_worker_disk_pressure", "1 while no work is taken because a disk is nearly full")
_LOOK_S = 10.0
_CLEAN_S = 60.0
"""Between two rounds of cleaning: what is in use cannot go, however often one looks."""
_RESUME_SHARE = 1.5
_MIB = 1024**2


def resume_bytes(floor_bytes: int) -> int:
    """How much must be free again after there was less than the floor, so that it does not go to and fro."""
    return int(floor_bytes * _RESUME_SHARE)


def free_bytes_of(directory: Path) -> int:
    """What is free on the disk of `directory`, which need not be there yet."""
    while not directory.exists():
        directory = directory.parent
    return shutil.disk_usage(directory).free


class Engine(Protocol):
    """What is asked of any engine."""

    async def collect_garbage(self) -> None:
        """Remove from the caches what is beyond their limits and not in use."""


class DiskPressure:
    """A need of the daemon's: no less than `floor_bytes` free in each of `directories`; 0: however little."""

    def __init__(
        self,
        directories: Sequence[Path],
        floor_bytes: int,
        engine: Engine,
        clock: Clock,
        free_bytes: Callable[[Path], int] = free_bytes_of,
    ) -> None:
        self._directories = directories
        self._floor_bytes = floor_bytes
        self._engine = engine
        self._clock = clock
        self._free_bytes = free_bytes
        self._problem: str | None = None
        self._cleaned_s = float("-inf")

    @property
    def problem(self) -> str | None:
        return self._problem

    async def run(self) -> None:
        """Look every 10 s, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """See how much is free; have the engine remove what it can make again if that is too little."""
        short = self._shortage()
        if short is not None and self._clock.monotonic_s() - self._cleaned_s >= _CLEAN_S:
            self._cleaned_s = self._clock.monotonic_s()
            await self._clean()
            short = self._shortage()
        if (short is None) != (self._problem is None):
            _log.warning("%s", short or "there is room on the disk again: work is taken")
        self._problem = short
        _pressed.set(short is not None)

    def _shortage(self) -> str | None:
        wanted = self._floor_bytes if self._problem is None else resume_bytes(self._floor_bytes)
        for directory in self._directories:
            free = self._free_bytes(directory)
            if free < wanted:
                return (
                    f"the disk of {directory} is nearly full: {free // _MIB} MiB are free, work is taken"
                    f" from {resume_bytes(self._floor_bytes) // _MIB} MiB on"
                )
        return None

    async def _clean(self) -> None:
        try:
            await self._engine.collect_garbage()
        except (DeborchError, OSError) as error:
            _log.warning("the caches cannot be thinned out: %s", error)
