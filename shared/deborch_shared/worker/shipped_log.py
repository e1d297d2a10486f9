"""One growing log: written to a file here first, shipped to the hub by offset while it grows.

The hub says how much it has; whatever happened before, sending goes on from there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from prometheus_client import Counter

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.backoff import WORTH_WAITING_FOR_S, Backoff
from deborch_shared.worker.durable_files import as_disk_full

_log = logging.getLogger(__name__)
_shipped = Counter("deborch_worker_log_bytes_total", "Bytes of logs that the hub has taken")
_SHIP_AT_BYTES = 64 * 1024
_SHIP_AFTER_S = 0.25
_MAX_CHUNK_BYTES = 256 * 1024
_FENCED = frozenset({ErrorCode.FORBIDDEN, ErrorCode.CONFLICT, ErrorCode.NOT_FOUND})
Append = Callable[[int, bytes], Awaitable[int]]
"""Sends a chunk that starts at an offset; returns how many bytes the hub has then."""


class ShippedLog:
    """Call `write` from anywhere in the loop, `finish` at the end; `ship` returns when the hub has all of it.

    A context manager, which closes the file.
    """

    def __init__(self, path: Path, append: Append, clock: Clock, *, on_fenced: Callable[[str], None]) -> None:
        self._path = path
        self._append = append
        self._clock = clock
        self._on_fenced = on_fenced
        self._file: BinaryIO | None = None
        self._size_bytes = 0
        self._sent_bytes = 0
        self._finished = False
        self._changed = asyncio.Event()
        self._enough = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def size_bytes(self) -> int:
        """How much has been written."""
        return self._size_bytes

    def write(self, chunk: bytes) -> None:
        """Raises:
        DeborchError: DISK_FULL.
        """
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = self._path.open("w+b", buffering=0)
            self._file.seek(0, 2)
            self._size_bytes += self._file.write(chunk)
        except OSError as error:
            raise as_disk_full(error, self._path) from error
        self._changed.set()
        if self._size_bytes - self._sent_bytes >= _SHIP_AT_BYTES:
            self._enough.set()

    def finish(self) -> None:
        """Nothing more is written."""
        self._finished = True
        self._changed.set()
        self._enough.set()

    async def ship(self) -> None:
        """Send what is written, every 0.25 s or 64 KiB, until the log is finished and the hub has it all.

        Waits for as long as the hub is away. If the hub says that the attempt is not the current one, calls
        `on_fenced` and returns.

        Raises:
            DeborchError: UNAUTHENTICATED or INTERNAL, when nobody mended that in time: no result would arrive either.
        """
        try:
            while not (self._finished and self._sent_bytes == self._size_bytes):
                await self._changed.wait()
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SHIP_AFTER_S):
                        await self._enough.wait()
                await self._ship_written()
        except DeborchError as error:
            if error.code in _FENCED:
                self._on_fenced(error.message)
                return
            if error.code in WORTH_WAITING_FOR_S:
                raise
            _log.error("the hub refuses the rest of log %s: %s", self._path, error)

    async def _ship_written(self) -> None:
        backoff = Backoff(self._clock)
        while self._file is not None and self._sent_bytes < self._size_bytes:
            self._file.seek(self._sent_bytes)
            chunk = self._file.read(_MAX_CHUNK_BYTES)
            try:
                self._went_to(await self._append(self._sent_bytes, chunk))
                backoff.reset()
            except DeborchError as error:
                if error.code is ErrorCode.CONFLICT and "size_bytes" in error.fields:
                    self._sent_bytes = min(int(error.fields["size_bytes"]), self._size_bytes)
                elif backoff.bears(error):
                    _log.warning("log %s waits: %s", self._path, error)
                else:
                    raise
                await backoff.pause()
        if not self._finished:
            self._enough.clear()

    def _went_to(self, position: int) -> None:
        position = min(position, self._size_bytes)
        _shipped.inc(max(0, position - self._sent_bytes))
        self._sent_bytes = position
