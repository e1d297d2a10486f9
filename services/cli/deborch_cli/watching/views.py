"""The three ways to look on: a live page on a terminal, one line per change elsewhere, JSON Lines for programs."""

import sys
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from deborch_cli.output import Duration, Identity, State, Table
from deborch_cli.output.cells import printable, rich
from deborch_cli.output.printer import emit_line
from deborch_cli.watching.changes import build_changes, name_of, progress_of, reason_of, source_of, task_changes
from deborch_cli.watching.watch import Watched
from deborch_shared.contract.builds import BuildDetail, Task, TaskSummary
from deborch_shared.contract.states import BuildState, TaskState

_LOG_LINES = 10
_REFRESHES_PER_S = 4
_LONGEST_LINE = 4_096


class LineView:
    """One line for each change, with the time of day."""

    wants_log = False

    def __init__(self) -> None:
        self._last: Watched | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, watched: Watched) -> None:
        for line in _changes(self._last, watched):
            sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S}  {printable(line)}\n")
        sys.stdout.flush()
        self._last = watched

    def event(self, event: str) -> None:
        """The changes say it."""

    def log(self, task: TaskSummary, text: str) -> None:
        """`log -f` shows it."""


class JsonView(LineView):
    """JSON Lines: `{"event": ...}` for each event, and `{"build": ...}` or `{"task": ...}` for each new state."""

    def show(self, watched: Watched) -> None:
        if watched != self._last:
            emit_line({"build" if isinstance(watched, BuildDetail) else "task": watched.model_dump(mode="json")})
        self._last = watched

    def event(self, event: str) -> None:
        emit_line({"event": orjson.loads(event)})


class LiveView:
    """A page that stays in place: what is built, its tasks, and the end of the log that grows."""

    wants_log = True

    def __init__(self, console: Console) -> None:
        self._console = console
        self._watched: Watched | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._line = ""
        self._of: TaskSummary | None = None
        self._over = False
        self._live = Live(
            console=console, get_renderable=self._page, refresh_per_second=_REFRESHES_PER_S, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._live.__exit__(kind, error, trace)

    def show(self, watched: Watched) -> None:
        self._watched = watched
        self._live.refresh()

    def event(self, event: str) -> None:
        """The page shows what came of it."""

    def log(self, task: TaskSummary, text: str) -> None:
        if self._of is None or (self._of.id, self._of.attempt) != (task.id, task.attempt):
            self._of, self._line = task, ""
            self._log.clear()
        *whole, self._line = (self._line + text).split("\n")
        self._line = self._line[-_LONGEST_LINE:]
        self._log.extend(whole)

    def _page(self) -> RenderableType:
        if self._watched is None:
            return Text("")
        tasks = self._watched.tasks if isinstance(self._watched, BuildDetail) else [self._watched]
        parts: list[RenderableType] = [_heading(self._watched), Text(), task_table(tasks).rich()]
        succeeded = self._watched.state in {BuildState.COMPLETED, TaskState.COMPLETED}
        if self._of is not None and not (self._over and succeeded):
            parts += [Text(), *self._log_lines(self._of)]
        return Group(*parts)

    def _log_lines(self, task: TaskSummary) -> list[Text]:
        lines = [*self._log, self._line] if self._line else [*self._log]
        title = Text(f"── log of task {task.id} ", style="bright_black", no_wrap=True)
        title.append("─" * max(self._console.width - title.cell_len, 0))
        return [title, *(Text(_as_shown(line), no_wrap=True, overflow="ellipsis") for line in lines[-_LOG_LINES:])]


def task_table(tasks: Sequence[TaskSummary]) -> Table:
    """The tasks of a build, as the page and `build show` have them."""
    rows = [
        (
            Identity(task.id),
            name_of(task),
            State(task.state, reason_of(task)),
            task.host,
            took(task),
            _remark(task),
        )
        for task in tasks
    ]
    return Table(("task", "what", "state", "host", "took", "remark"), rows, "no task yet")


def took(task: TaskSummary) -> Duration:
    """How long the last attempt took, or takes so far; nothing while none is under way or ended."""
    going_on = task.state is TaskState.RUNNING or task.ended_at is not None
    return Duration.between(task.started_at if going_on else None, task.ended_at)


def _remark(task: TaskSummary) -> str:
    attempts = f"attempt {task.attempt}" if task.attempt > 1 else ""
    said = "" if task.state is TaskState.COMPLETED else task.message
    return "; ".join(part for part in (attempts, progress_of(task), said) if part)


def _heading(watched: Watched) -> Text:
    if isinstance(watched, BuildDetail):
        title = (
            f"Build {watched.id}  {source_of(watched)} for {watched.target}{' (scratch)' if watched.scratch else ''}"
        )
    else:
        title = f"Task {watched.id}  {name_of(watched)}"
    took = Duration.between(watched.created_at, watched.ended_at)
    return Text.assemble((printable(title), "bold"), "  ", rich(State(watched.state)), "  ", rich(took))


def _changes(before: Watched | None, now: Watched) -> list[str]:
    if isinstance(now, BuildDetail):
        return build_changes(before if isinstance(before, BuildDetail) else None, now)
    return task_changes([before] if isinstance(before, Task) else [], [now])


def _as_shown(line: str) -> str:
    """A line of a log as a terminal leaves it: what a carriage return overwrote is gone, tabs are spaces."""
    return printable(line.rstrip("\r").rpartition("\r")[2].expandtabs(8))
