"""A look at a running command once a second: its use of the machine, and whether it should go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from deb_mock.failures import FailureClass, failure
from deb_mock.host.disk_space import DiskSpace
from deb_mock.stages.limits import disk_nearly_full, disk_nearly_without_files, too_many_processes
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import Meter, ResourceUse

INTERVAL_S = 1.0
_STUCK_AFTER = 5
"""Looks in a row that found more refused forks: what only has a short peak is left to recover."""


class Watch:
    """Of one command. Tell it of output by `heard`; `space` says what is left of a disk that others use too."""

    def __init__(
        self,
        program: str,
        meter: Meter,
        limits: Limits,
        *,
        space: Callable[[], DiskSpace] | None = None,
        idle_s: float | None,
        on_sample: Callable[[ResourceUse], None] | None,
    ) -> None:
        self._program = program
        self._meter = meter
        self._limits = limits
        self._space = space
        self._idle_s = idle_s
        self._on_sample = on_sample
        self._heard_s = time.monotonic()
        self._refused = 0
        self._stuck = 0

    def heard(self) -> None:
        self._heard_s = time.monotonic()

    @asynccontextmanager
    async def over(self) -> AsyncIterator[None]:
        """What runs within is ended once there is a reason to; that nobody can look any more is one.

        Raises:
            DeborchError: of class log-idle, killed-limit, or chroot-fault.
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
        try:
            while (reason := await self._next_look()) is None:
                pass
        except DeborchError as error:
            reason = error
        except Exception as error:
            reason = _blind(self._program, error)
        reasons.append(reason)
        lever.reschedule(asyncio.get_running_loop().time())

    async def _next_look(self) -> DeborchError | None:
        await asyncio.sleep(INTERVAL_S)
        use = self._meter.read()
        if self._on_sample is not None:
            self._on_sample(use)
        return self.reason_to_end(use, time.monotonic() - self._heard_s)

    def reason_to_end(self, use: ResourceUse, silent_s: float) -> DeborchError | None:
        """What is wrong with a command that has used `use` and has been silent for `silent_s`."""
        self._stuck = self._stuck + 1 if use.forks_refused > self._refused else 0
        self._refused = use.forks_refused
        if self._stuck >= _STUCK_AFTER:
            return too_many_processes(self._program, self._limits)
        space = self._space() if self._space is not None else None
        if space is not None and space.left_bytes < (self._limits.disk_free_bytes or 0):
            return disk_nearly_full(space.left_bytes)
        if space is not None and space.has_few_files:
            return disk_nearly_without_files(space.files_left)
        if self._idle_s is not None and silent_s > self._idle_s:
            return failure(
                FailureClass.LOG_IDLE,
                ErrorCode.BUILD_FAILED,
                f"{self._program} wrote nothing for {self._idle_s:g} s and was ended",
                hint="the end of the log shows what it did last; raise limits.log_idle if it may be silent for longer",
            )
        return None


def _blind(program: str, error: Exception) -> DeborchError:
    failed = failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        f"{program} was ended, because nobody could look after its limits: {type(error).__name__}: {error}",
        hint="if the control groups of the host or its disk are not to blame, report it to those who wrote deb-mock",
    )
    failed.__cause__ = error
    return failed
