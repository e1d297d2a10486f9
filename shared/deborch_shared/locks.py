"""File locks between processes; the kernel gives them back when a holder dies.

A lock file may be removed by whoever holds it alone, so a lock counts only if its file is still the one at the path.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

_POLL_S = 0.1
_INSTANT_POLLS, _INSTANT_S = 20, 0.002


@asynccontextmanager
async def exclusive(path: Path, *, on_wait: Callable[[], None], remove: bool = False) -> AsyncIterator[None]:
    """Hold `path` alone; `on_wait` is called once if somebody else has it. With `remove` the file goes at the end."""
    waited = False
    while (descriptor := _open_and_lock(path, fcntl.LOCK_EX)) is None:
        if not waited:
            on_wait()
            waited = True
        await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        if remove:
            os.unlink(path)  # noqa: PTH108 - at once, while the lock is held
        os.close(descriptor)


@contextmanager
def exclusive_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` alone if nobody has it; tells whether."""
    with _if_free(path, fcntl.LOCK_EX) as free:
        yield free


@contextmanager
def shared_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` together with others if nobody has it alone for longer than an instant; tells whether."""
    for _ in range(_INSTANT_POLLS):
        with _if_free(path, fcntl.LOCK_SH) as free:
            if free:
                yield True
                return
        time.sleep(_INSTANT_S)
    yield False


@contextmanager
def shared_at_once(path: Path) -> Iterator[bool]:
    """Hold `path` together with others if nobody has it alone right now; tells whether. Waits for nothing."""
    with _if_free(path, fcntl.LOCK_SH) as free:
        yield free


def is_held(path: Path) -> bool:
    """Whether somebody holds `path`. To find out it is held for an instant, which `shared_if_free` sits out."""
    if not path.exists():
        return False
    with exclusive_if_free(path) as free:
        return not free


@contextmanager
def directory_if_free(path: Path, *, alone: bool) -> Iterator[bool]:
    """Hold the directory `path` itself, alone or with others; False if that cannot be, or it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _try(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH) and _is_at(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def _if_free(path: Path, kind: int) -> Iterator[bool]:
    descriptor = _open_and_lock(path, kind)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open_and_lock(path: Path, kind: int) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if _try(descriptor, kind) and _is_at(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
