"""File locks between processes; the kernel gives them back when a holder dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

_POLL_S = 0.1


@asynccontextmanager
async def exclusive(path: Path, *, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Hold `path` alone; `on_wait` is called once if somebody else has it."""
    descriptor = _open(path)
    try:
        waited = False
        while not _try(descriptor, fcntl.LOCK_EX):
            if not waited:
                on_wait()
                waited = True
            await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` alone if nobody has it; tells whether."""
    descriptor = _open(path)
    try:
        yield _try(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


@contextmanager
def shared_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` together with others if nobody has it alone; tells whether."""
    descriptor = _open(path)
    try:
        yield _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
