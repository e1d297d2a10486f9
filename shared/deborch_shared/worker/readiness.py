"""Whether this host can work now, and if not, why. What was wrong once is looked at again while the daemon runs."""

import asyncio
import logging
from typing import Protocol

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError

_log = logging.getLogger(__name__)
_LOOK_S = 60.0
_NOT_SOONER_S = 5.0
"""Between two looks, however much work is about to be refused."""


class Need(Protocol):
    """Something without which no work can be done here."""

    @property
    def problem(self) -> str | None:
        """What is wrong with it, as of the last look."""

    async def look(self) -> None:
        """See whether it is there."""


class Engine(Protocol):
    """What is asked of any engine."""

    async def recover(self) -> None:
        """Clean up what an earlier process left. Raises if the engine is not usable here."""


class EngineNeed:
    """The engine has cleaned up what an earlier process left, and says that it is usable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        return self._problem

    async def look(self) -> None:
        try:
            await self._engine.recover()
        except (DeborchError, OSError) as error:
            self._problem = str(error)
        else:
            self._problem = None


class Readiness:
    """Looks again at what was wrong, each minute and before work is refused for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._needs: list[Need] = []
        self._looking = asyncio.Lock()
        self._looked_s = float("-inf")
        self._told: str | None = None

    def add(self, need: Need) -> None:
        """Count `need` in; it has been looked at."""
        self._needs.append(need)
        self._tell()

    @property
    def problem(self) -> str | None:
        """Why no work can be done here; None if it can."""
        return next((need.problem for need in self._needs if need.problem is not None), None)

    async def run(self) -> None:
        """Look again each minute, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_S)
            await self.look_again()

    async def look_again(self) -> None:
        """See whether what was wrong is mended; nothing if nothing was, or if that was looked at just now."""
        async with self._looking:
            if self.problem is None or self._clock.monotonic_s() - self._looked_s < _NOT_SOONER_S:
                return
            self._looked_s = self._clock.monotonic_s()
            for need in self._needs:
                if need.problem is not None:
                    await need.look()
            self._tell()

    def _tell(self) -> None:
        before, self._told = self._told, self.problem
        if self._told is not None and self._told != before:
            _log.error("this host takes no work: %s", self._told)
        elif self._told is None and before is not None:
            _log.info("this host takes work again")
