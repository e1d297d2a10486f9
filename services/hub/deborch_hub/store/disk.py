"""Small acts on disk that must be whole: work in a thread that a cancelled caller still waits for, durable renames."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from deborch_shared.errors import DeborchError, ErrorCode

P = ParamSpec("P")
T = TypeVar("T")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(...)` in a thread. A cancelled caller waits for its end, so that no file is closed under it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn a full disk into DISK_FULL, which says where."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DeborchError(
            ErrorCode.DISK_FULL,
            f"the disk of the hub that holds {directory.name} is full",
            hint="free space on the hub's data directory and try again; nothing of this was kept",
        ) from error


def write_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """All of `data` at `offset`: a short write goes on until the disk takes no more."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def rename_durably(source: Path, destination: Path) -> None:
    """Rename within one file system; after return a power cut does not undo it. The file itself was synced before."""
    if not destination.parent.exists():
        destination.parent.mkdir(parents=True, exist_ok=True)
        _sync_directory(destination.parent.parent)
    source.rename(destination)
    _sync_directory(destination.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
