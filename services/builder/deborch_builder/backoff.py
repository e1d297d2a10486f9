"""Trying again for as long as a peer is away."""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError, ErrorCode

_log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")
_FIRST_S, _LONGEST_S = 0.5, 20.0
WORTH_WAITING_FOR = frozenset({ErrorCode.INTERNAL, ErrorCode.UNAUTHENTICATED})
"""Not temporary by themselves, but mended by an operator while finished work waits here: never thrown away for them."""


class Backoff:
    """Delays that double up to 20 s, with jitter, so that a fleet does not come back in one moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_s = _FIRST_S

    async def pause(self) -> None:
        delay_s, self._next_s = self._next_s, min(self._next_s * 2, _LONGEST_S)
        await self._clock.sleep(delay_s * random.uniform(0.7, 1.0))  # noqa: S311 - jitter is no secret

    def reset(self) -> None:
        self._next_s = _FIRST_S


async def persist(
    operation: Callable[[], Awaitable[ResultT]],
    *,
    clock: Clock,
    what: str,
    also: frozenset[ErrorCode] = frozenset(),
) -> ResultT:
    """`operation`'s result, however often a temporary error or one in `also` comes before it."""
    backoff = Backoff(clock)
    while True:
        try:
            return await operation()
        except DeborchError as error:
            if not error.temporary and error.code not in also:
                raise
            _log.warning("%s: %s; trying again", what, error)
        await backoff.pause()
