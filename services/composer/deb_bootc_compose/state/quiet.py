"""Who is at work in a state directory: composes, any number at once, or somebody who needs it to be quiet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from deb_bootc_compose.state.layout import State
from deborch_shared import locks

_POLL_S = 0.1


@asynccontextmanager
async def at_work(state: State) -> AsyncIterator[None]:
    """For composes. Waits while somebody has it quiet."""
    while True:
        with locks.shared_at_once(_lock(state)) as ours:
            if ours:
                yield
                return
        await asyncio.sleep(_POLL_S)


def quiet(state: State) -> AbstractContextManager[bool]:
    """False if a compose runs; none begins meanwhile."""
    return locks.exclusive_if_free(_lock(state))


def _lock(state: State) -> Path:
    return state.locks / "at-work"
