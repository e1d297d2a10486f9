"""Bases made ahead of the builds that will want them, while this host has nothing else to do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from deborch_builder.attempts import Attempts
from deborch_builder.engine_port import BuildEngine, Environment
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError
from deborch_shared.worker.readiness import Readiness

_log = logging.getLogger(__name__)
_prepared = Counter("deborch_builder_prepared_total", "Bases made ahead, by what became of it", ["outcome"])
_QUIET_S = 2.0
"""The host must have been idle for so long: between two builds of a queue nothing is begun."""
_MOST_WISHES = 32


class Preparation:
    """Does one wish at a time. A build that comes meanwhile ends it, unless it waits for that very base."""

    def __init__(
        self,
        engine: BuildEngine,
        attempts: Attempts,
        readiness: Readiness,
        clock: Clock,
        on_prepared: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._readiness = readiness
        self._clock = clock
        self._on_prepared = on_prepared
        self._wishes: dict[Environment, None] = {}
        self._wished = asyncio.Event()

    def wish(self, environment: Environment) -> None:
        """Have `environment` ready some time; more wishes than fit are dropped, they come again."""
        if len(self._wishes) < _MOST_WISHES:
            self._wishes[environment] = None
            self._wished.set()

    async def run(self) -> None:
        """Do wishes until cancelled."""
        while True:
            await self._wished.wait()
            await self._attempts.wait_idle()
            await self._clock.sleep(_QUIET_S)
            if not len(self._attempts) and self._readiness.problem is None:
                await self._do_first()
            if not self._wishes:
                self._wished.clear()

    async def _do_first(self) -> None:
        environment = next(iter(self._wishes))
        outcome = await self._prepare(environment)
        _prepared.labels(outcome).inc()
        if outcome != "interrupted":
            del self._wishes[environment]
        if outcome == "ready":
            await self._on_prepared()

    async def _prepare(self, environment: Environment) -> str:
        making = asyncio.ensure_future(self._engine.prepare(environment))
        busy = asyncio.ensure_future(self._attempts.wait_busy())
        try:
            await asyncio.wait({making, busy}, return_when=asyncio.FIRST_COMPLETED)
            if not making.done() and environment.suite not in self._attempts.suites():
                _log.info("the base of %s is put off: a build has come", environment.suite)
                return "interrupted"
            await making
        except (DeborchError, OSError) as error:
            _log.warning("the base of %s is not made ahead: %s", environment.suite, error)
            return "failed"
        finally:
            making.cancel()
            busy.cancel()
            await asyncio.wait({making, busy})
        return "ready"
