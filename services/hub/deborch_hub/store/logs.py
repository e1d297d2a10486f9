"""Logs: root/<task>/<attempt>.log and root/composes/<compose>/<attempt>/<phase>.log.

They are written by offset, so that a chunk that is sent twice is there once.
No lock is needed between processes: an attempt has one writer, and the same offset always holds the same bytes.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from deborch_hub.store.disk import disk_errors, in_thread, write_all
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Attempt, ComposeId, TaskId

MAX_LOG_BYTES = 256 << 20
_READ_BYTES = 64 << 10
_POLL_S = 0.25
"""How late at most a chunk is seen that another replica has written."""


class LogStore:
    """The logs below `root`, which several processes may share."""

    def __init__(self, root: Path, *, max_log_bytes: int = MAX_LOG_BYTES) -> None:
        self.root = root
        self._max_log_bytes = max_log_bytes
        self._followers: defaultdict[Path, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    def path_of(self, task: TaskId, attempt: Attempt) -> Path:
        return self.root / str(task) / f"{attempt}.log"

    def path_of_phase(self, compose: ComposeId, attempt: Attempt, phase: str) -> Path:
        """`phase`: PHASE or PHASE.VARIANT.ARCHITECTURE, which the caller has checked."""
        return self.root / "composes" / str(compose) / str(attempt) / f"{phase}.log"

    def size_of(self, task: TaskId, attempt: Attempt) -> int:
        """How many bytes there are; 0 too if nothing was written."""
        try:
            return self.path_of(task, attempt).stat().st_size
        except FileNotFoundError:
            return 0

    async def append(self, task: TaskId, attempt: Attempt, offset: int, data: bytes) -> int:
        """Write `data` at `offset`, less what is there already; the size of the log after it.

        Raises:
            DeborchError: CONFLICT if bytes before `offset` are missing and TOO_LARGE past the limit, both with
                `size_bytes`; DISK_FULL.
        """
        return await self.append_at(self.path_of(task, attempt), offset, data)

    async def append_at(self, path: Path, offset: int, data: bytes) -> int:
        """The same for the log at `path`."""
        size = await in_thread(self._append, path, offset, data)
        for wake in self._followers.get(path, ()):
            wake.set()
        return size

    def _append(self, path: Path, offset: int, data: bytes) -> int:
        with disk_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if offset > size:
                raise DeborchError(
                    ErrorCode.CONFLICT,
                    f"the log has {size} bytes: a chunk at {offset} would leave a gap",
                    hint="send it again from size_bytes on",
                    size_bytes=size,
                )
            end = offset + len(data)
            if end > self._max_log_bytes:
                raise DeborchError(
                    ErrorCode.TOO_LARGE,
                    f"a log may have {self._max_log_bytes} bytes",
                    hint="make the build less talkative",
                    size_bytes=size,
                )
            if end > size:
                with disk_errors(self.root):
                    write_all(descriptor, memoryview(data)[size - offset :], size)
            return max(size, end)
        finally:
            os.close(descriptor)

    async def read(self, task: TaskId, attempt: Attempt, offset: int, limit_bytes: int = _READ_BYTES) -> bytes:
        """Up to `limit_bytes` from `offset` on; empty at the end."""
        return await in_thread(_read, self.path_of(task, attempt), offset, limit_bytes)

    async def follow(
        self, task: TaskId, attempt: Attempt, offset: int, ended: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[bytes, None]:
        """`follow_at` for the log of an attempt of a task."""
        async with aclosing(self.follow_at(self.path_of(task, attempt), offset, ended)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def follow_at(
        self, path: Path, offset: int, ended: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[bytes, None]:
        """The log from `offset` on and what is appended meanwhile, until `ended` says so and all is read.

        An empty chunk comes when nothing new did for a moment, so that the reader can do something else.
        """
        wake = asyncio.Event()
        self._followers[path].add(wake)
        try:
            while not self.closed:
                wake.clear()
                over = await ended()
                if chunk := await in_thread(_read, path, offset, _READ_BYTES):
                    offset += len(chunk)
                    yield chunk
                elif over:
                    return
                elif not await _woken(wake):
                    yield b""
        finally:
            self._followers[path].discard(wake)
            if not self._followers[path]:
                del self._followers[path]

    def close(self) -> None:
        """End every `follow`: the process is about to stop."""
        self.closed = True
        for wakes in self._followers.values():
            for wake in wakes:
                wake.set()


async def _woken(wake: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(_POLL_S):
            await wake.wait()
    except TimeoutError:
        return False
    return True


def _read(path: Path, offset: int, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as log:
            return os.pread(log.fileno(), limit_bytes, offset)
    except FileNotFoundError:
        return b""
