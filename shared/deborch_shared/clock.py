"""Time as a port: production reads the machine's clock, unit tests move a fake one by hand."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What code that depends on time asks for."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""

    def monotonic_s(self) -> float:
        """Seconds that only grow, for measuring durations."""

    async def sleep(self, duration_s: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
