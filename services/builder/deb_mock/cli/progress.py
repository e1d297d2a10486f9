"""What the command line shows while a build runs: stages with their times, and the log if asked for."""

import sys
from types import TracebackType
from typing import BinaryIO, Self

from rich.console import Console
from rich.status import Status

from deb_mock.model import Stage

_DOING = {
    Stage.SOURCE: "checking the source package",
    Stage.BASE: "base image",
    Stage.DEPENDENCIES: "build dependencies",
    Stage.BUILDROOT: "clean buildroot",
    Stage.UNPACK: "unpacking the source",
    Stage.BUILD: "building",
    Stage.COLLECT: "collecting the results",
    Stage.CHECK: "checks",
}


class Progress:
    """Stages on stderr as they pass, the log to a file and, with `verbose`, to stderr."""

    def __init__(self, *, verbose: bool, log: BinaryIO) -> None:
        self._console = Console(stderr=True)
        self._verbose = verbose
        self._log = log
        self._status: Status | None = None
        self._current: tuple[Stage, float] | None = None

    def __enter__(self) -> Self:
        if not self._verbose and self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def on_stage(self, stage: Stage, elapsed_s: float) -> None:
        """A stage begins."""
        self.finish(elapsed_s)
        self._current = (stage, elapsed_s)
        if self._status is not None:
            self._status.update(_DOING[stage])

    def finish(self, elapsed_s: float) -> None:
        """The stage under way ends."""
        if self._current is not None:
            stage, begun_s = self._current
            self._console.print(f"{elapsed_s - begun_s:8.2f} s  {_DOING[stage]}", highlight=False)
            self._current = None

    def on_log(self, chunk: bytes) -> None:
        """Some of the log."""
        self._log.write(chunk)
        if self._verbose:
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()
        elif self._status is not None and chunk.startswith(b"deb-mock: making the base"):
            self._status.update("making the base image, once for all builds of this suite")
