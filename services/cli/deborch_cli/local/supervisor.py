"""Keeps children running: started in order, restarted with back-off when they die, stopped in reverse order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from deborch_shared.clock import Clock, SystemClock
from deborch_shared.errors import DeborchError

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STABLE_AFTER_S = 60.0
"""A child that ran this long begins again with the first delay."""


class Managed(Protocol):
    """What can be supervised: PostgreSQL, RabbitMQ, each service."""

    @property
    def name(self) -> str: ...
    async def start(self) -> None:
        """Start it, and return when it is ready; leave nothing running if it fails."""

    async def wait(self) -> int:
        """Wait until it ends by itself."""

    async def stop(self) -> None: ...
    def kill(self) -> None:
        """SIGKILL, as a crash would."""


class Change(StrEnum):
    """What can happen to a child."""

    FETCHING = "fetching"
    STARTING = "starting"
    READY = "ready"
    DIED = "died"
    START_FAILED = "start failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to one child."""

    child: str
    change: Change
    detail: str = ""


class Supervisor:
    """`async with Supervisor(tell) as supervisor: await supervisor.start(child)`; leaving stops all children."""

    def __init__(self, tell: Callable[[Notice], None], *, clock: Clock | None = None) -> None:
        self._tell = tell
        self._clock = clock or SystemClock()
        self._group = asyncio.TaskGroup()
        self._kept: list[tuple[Managed, asyncio.Task[None]]] = []
        self._starting: Managed | None = None
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """True from the moment that it begins to stop its children."""
        return self._stopping

    async def start(self, child: Managed) -> None:
        """Start `child` and keep it running from now on.

        Raises:
            DeborchError: it did not start the first time; it is not kept then.
        """
        self._tell(Notice(child.name, Change.STARTING))
        self._starting = child
        try:
            await child.start()
        except BaseException:
            await child.stop()
            raise
        finally:
            self._starting = None
        self._tell(Notice(child.name, Change.READY))
        self._kept.append((child, self._group.create_task(self._keep(child), name=f"keep {child.name}")))

    async def stop(self) -> None:
        """Stop all, the last one started first. Each gets its own time to drain."""
        self._stopping = True
        while self._kept:
            child, keeper = self._kept[-1]
            self._tell(Notice(child.name, Change.STOPPING))
            keeper.cancel()
            await asyncio.wait((keeper,))
            await child.stop()
            self._kept.pop()
            self._tell(Notice(child.name, Change.STOPPED))

    def kill(self) -> None:
        """SIGKILL for all that were not stopped yet; a `stop` that waits for one of them goes on at once."""
        self._stopping = True
        if self._starting is not None:
            self._starting.kill()
        for child, keeper in reversed(self._kept):
            keeper.cancel()
            child.kill()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        except BaseException:
            self.kill()  # who cannot wait for an orderly end must not wait for children that nobody stops any more
            raise
        finally:
            if isinstance(error, asyncio.CancelledError):  # by the group, maybe: it says why
                await self._group.__aexit__(kind, error, trace)
            else:
                await self._group.__aexit__(None, None, None)

    async def _keep(self, child: Managed) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            began_s = self._clock.monotonic_s()
            code = await child.wait()
            if self._clock.monotonic_s() - began_s > STABLE_AFTER_S:
                delay_s = FIRST_DELAY_S
            self._tell(Notice(child.name, Change.DIED, f"exit code {code}, next start in {delay_s:g} s"))
            delay_s = await self._start_again(child, delay_s)

    async def _start_again(self, child: Managed, delay_s: float) -> float:
        """Try until it starts; the delay to use the next time."""
        while True:
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            try:
                await child.start()
            except DeborchError as error:
                await child.stop()
                self._tell(Notice(child.name, Change.START_FAILED, f"{error}; next try in {delay_s:g} s"))
            else:
                self._tell(Notice(child.name, Change.READY))
                return delay_s
