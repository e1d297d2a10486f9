"""What the command line shows of a build: its stages as they pass, and at the end what each of them cost."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from deb_mock.model import Stage

DOING = {
    Stage.SOURCE: "checking the source package",
    Stage.BASE: "base image",
    Stage.DEPENDENCIES: "build dependencies",
    Stage.BUILDROOT: "clean buildroot",
    Stage.UNPACK: "unpacking the source",
    Stage.BUILD: "building",
    Stage.COLLECT: "collecting the results",
    Stage.CHECK: "checks",
}
COLUMNS = {
    "wall_s": "wall s",
    "cpu_s": "cpu s",
    "memory_peak_bytes": "memory peak MiB",
    "read_bytes": "read MiB",
    "written_bytes": "written MiB",
    "disk_bytes": "files MiB",
    "pids_peak": "pids",
    "oom_kills": "killed for memory",
}
"""Of the table of stages."""
_MIB = 1 << 20


class Progress:
    """The stage under way on stderr and, with `verbose`, the log."""

    def __init__(self, *, verbose: bool, doing: str = "starting") -> None:
        self._doing = doing
        self._console = Console(stderr=True)
        self._verbose = verbose
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if not self._verbose and self._console.is_terminal:
            self._status = self._console.status(self._doing)
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The screen is somebody else's meanwhile."""
        if self._status is not None:
            self._status.stop()
        yield
        if self._status is not None:
            self._status.start()

    def on_stage(self, stage: Stage, elapsed_s: float) -> None:
        """A stage begins."""
        doing = DOING.get(stage, stage.value)
        if self._status is not None:
            self._status.update(doing)
        elif not self._verbose:
            self._console.print(f"{elapsed_s:8.2f} s  {doing} ...", highlight=False)

    def say(self, doing: str) -> None:
        """What is done now that is no stage of a build."""
        if self._status is not None:
            self._status.update(doing)
        elif not self._verbose:
            self._console.print(f"{doing} ...", markup=False, highlight=False)

    def on_part(self, name: str) -> None:
        """One of several builds begins."""
        self._console.print(f"{name} build", style="bold", highlight=False)

    def on_log(self, chunk: bytes) -> None:
        """Some of the log."""
        if self._verbose:
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()
        elif self._status is not None and chunk.startswith(b"deb-mock: making the base"):
            self._status.update("making the base image, once for all builds of this suite")


def stage_table(stages: Sequence[Mapping[str, Any]], *, failed: str = "") -> Table:
    """Stages with what they cost, as in the report; a cost that no stage has is no column. The report has more.

    Headings have a word a line, so that all of it fits into 80 columns and stages are not broken instead.
    """
    names = [name for name in COLUMNS if any(stage.get(name) for stage in stages)]
    table = Table("stage", box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in names:
        table.add_column(COLUMNS[name].replace(" ", "\n"), justify="right")
    for stage in stages:
        style = "bold red" if stage["stage"] == failed else ""
        table.add_row(_doing(stage["stage"]), *(_shown(name, stage.get(name)) for name in names), style=style)
    return table


def first_lines_text(lines: Sequence[Mapping[str, Any]]) -> Text:
    """The lines of the log that matter, with their numbers. They are foreign: no markup is read in them."""
    text = Text()
    for line in lines:
        text.append(f"{line['number']:>8}  ", style="dim").append(f"{line['text']}\n", style="yellow")
    return text


def _doing(stage: str) -> str:
    return DOING.get(Stage(stage), stage) if stage in list(Stage) else stage


def _shown(name: str, value: object) -> str:
    if isinstance(value, int | float) and name.endswith("_s"):
        return f"{value:.2f}"
    if isinstance(value, int | float) and name.endswith("_bytes"):
        return f"{value / _MIB:.1f}"
    return "" if value is None else str(value)
