"""Trying again for as long as a peer is away."""

import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError, ErrorCode

_log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")
_FIRST_S, _LONGEST_S = 0.5, 20.0
WORTH_WAITING_FOR_S: Mapping[ErrorCode, float] = MappingProxyType(
    {ErrorCode.UNAUTHENTICATED: 300.0, ErrorCode.INTERNAL: 900.0}
)
"""Not temporary by themselves, but mended by an operator while work waits here: for how many seconds, with no success
in between. Heartbeats keep the lease of an attempt that waits, so it must not wait for ever."""


class Backoff:
    """Delays that double up to 20 s, with jitter, so that a fleet does not come back in one moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_s = _FIRST_S
        self._since_s: dict[ErrorCode, float] = {}

    def bears(self, error: DeborchError) -> bool:
        """Whether to try again after `error`: it is temporary, or has not lasted for as long as it is waited for."""
        if error.temporary:
            return True
        now_s = self._clock.monotonic_s()
        return now_s - self._since_s.setdefault(error.code, now_s) < WORTH_WAITING_FOR_S.get(error.code, 0.0)

    async def pause(self) -> None:
        delay_s, self._next_s = self._next_s, min(self._next_s * 2, _LONGEST_S)
        await self._clock.sleep(delay_s * random.uniform(0.7, 1.0))  # noqa: S311 - jitter is no secret

    def reset(self) -> None:
        self._next_s = _FIRST_S
        self._since_s.clear()


async def persist(
    operation: Callable[[], Awaitable[ResultT]],
    *,
    clock: Clock,
    what: str,
    also: frozenset[ErrorCode] = frozenset(),
    patient: bool = False,
) -> ResultT:
    """`operation`'s result, however often a temporary error or one in `also` comes before it.

    `patient`: what an operator mends is waited for too, within `WORTH_WAITING_FOR_S`.
    """
    backoff = Backoff(clock)
    while True:
        try:
            return await operation()
        except DeborchError as error:
            goes_on = backoff.bears(error) if patient else error.temporary
            if not goes_on and error.code not in also:
                raise
            _log.warning("%s: %s; trying again", what, error)
        await backoff.pause()
