"""A look at a running command once a second: its use of the machine, and whether it should go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from deb_mock.failures import FailureClass, failure
from deb_mock.limits import disk_nearly_full, too_many_processes
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import Meter, ResourceUse

INTERVAL_S = 1.0
_STUCK_AFTER = 5
"""Looks in a row that found more refused forks: what only has a short peak is left to recover."""


class Watch:
    """Of one command. Tell it of output by `heard`; `free_bytes` says what is left of a disk that others use too."""

    def __init__(
        self,
        program: str,
        meter: Meter,
        limits: Limits,
        *,
        free_bytes: Callable[[], int] | None = None,
        idle_s: float | None,
        on_sample: Callable[[ResourceUse], None] | None,
    ) -> None:
        self._program = program
        self._meter = meter
        self._limits = limits
        self._free_bytes = free_bytes
        self._idle_s = idle_s
        self._on_sample = on_sample
        self._heard_s = time.monotonic()
        self._refused = 0
        self._stuck = 0

    def heard(self) -> None:
        self._heard_s = time.monotonic()

    @asynccontextmanager
    async def over(self) -> AsyncIterator[None]:
        """What runs within is ended once there is a reason to.

        Raises:
            DeborchError: of class log-idle or killed-limit.
        """
        reasons: list[DeborchError] = []
        try:
            async with asyncio.timeout(None) as lever:
                looking = asyncio.create_task(self._look(lever, reasons))
                try:
                    yield
                finally:
                    looking.cancel()
                    await asyncio.gather(looking, return_exceptions=True)
        except TimeoutError as error:
            if not reasons:
                raise
            raise reasons[0] from error

    async def _look(self, lever: asyncio.Timeout, reasons: list[DeborchError]) -> None:
        while not reasons:
            await asyncio.sleep(INTERVAL_S)
            use = self._meter.read()
            if self._on_sample is not None:
                self._on_sample(use)
            reason = self.reason_to_end(use, time.monotonic() - self._heard_s)
            if reason is not None:
                reasons.append(reason)
        lever.reschedule(asyncio.get_running_loop().time())

    def reason_to_end(self, use: ResourceUse, silent_s: float) -> DeborchError | None:
        """What is wrong with a command that has used `use` and has been silent for `silent_s`."""
        self._stuck = self._stuck + 1 if use.forks_refused > self._refused else 0
        self._refused = use.forks_refused
        if self._stuck >= _STUCK_AFTER:
            return too_many_processes(self._program, self._limits)
        left = self._free_bytes() if self._free_bytes is not None else None
        if left is not None and left < (self._limits.disk_free_bytes or 0):
            return disk_nearly_full(left)
        if self._idle_s is not None and silent_s > self._idle_s:
            return failure(
                FailureClass.LOG_IDLE,
                ErrorCode.BUILD_FAILED,
                f"{self._program} wrote nothing for {self._idle_s:g} s and was ended",
                hint="the end of the log shows what it did last; raise the idle limit if it may be silent for longer",
            )
        return None
