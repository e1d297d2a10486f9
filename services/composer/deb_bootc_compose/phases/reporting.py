"""Progress and log of one phase: to its log file and to whoever watches, from any thread."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from deb_bootc_compose.phases.events import Observer, PhaseLog, PhaseProgress
from deb_bootc_compose.phases.graph import Node

MAX_LOG_BYTES = 64 << 20
_CUT = b"\n... the rest of the log is left out\n"


class PhaseReporter:
    """Implements `Progress`. The log goes on where an earlier run of the same phase ended."""

    def __init__(self, node: Node, path: Path, observer: Observer) -> None:
        self._node = node
        self._path = path
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._file: BinaryIO | None = None
        self._offset = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)
        self._offset = self._file.tell()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def step(self, what: str, done: float = 0.0, total: float = 0.0) -> None:
        """Tell what the phase does now."""
        self._here(self._step, what, done, total)

    def log(self, text: bytes) -> None:
        """Write to the log."""
        self._here(self._log, text)

    def _here(self, call: Callable[..., None], *arguments: object) -> None:
        if threading.get_ident() == self._thread:
            call(*arguments)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _step(self, what: str, done: float, total: float) -> None:
        self._observer.on_event(PhaseProgress(self._node.phase, self._node.target, what, done, total))

    def _log(self, text: bytes) -> None:
        if self._file is None or self._offset > MAX_LOG_BYTES:
            return
        chunk = text if self._offset + len(text) <= MAX_LOG_BYTES else text[: MAX_LOG_BYTES - self._offset] + _CUT
        try:
            self._file.write(chunk)
        except OSError:
            return  # a full disk: the phase itself will say so
        offset, self._offset = self._offset, self._offset + len(chunk)
        self._observer.on_event(PhaseLog(self._node.phase, self._node.target, chunk, offset))
