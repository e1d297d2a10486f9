"""What the command line shows of a compose while it runs: a tree of targets and phases, lines, or JSON."""

import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from deb_bootc_compose.cli.finish import write_json
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.events import (
    ComposeEvent,
    ComposeStarted,
    PhaseDone,
    PhaseLog,
    PhaseProgress,
    PhaseRetry,
    PhaseStarted,
    PhaseState,
    as_json,
)

_STYLES = {
    PhaseState.WAITING: ("·", "dim"),
    PhaseState.RUNNING: ("▶", "cyan"),
    PhaseState.DONE: ("✔", "green"),
    PhaseState.REUSED: ("=", "green"),
    PhaseState.FAILED: ("✘", "bold red"),
    PhaseState.SKIPPED: ("-", "dim"),
    PhaseState.CANCELED: ("✘", "yellow"),
}
_STEP_CHARACTERS = 90
_REFRESHES_A_SECOND = 4


class Shown(Protocol):
    """An observer that needs a place on the screen meanwhile."""

    compose_id: str
    """Once it has begun."""

    def on_event(self, event: ComposeEvent) -> None:
        """Something happened."""

    def shown(self) -> AbstractContextManager[object]:
        """Show it while within."""


@dataclass(slots=True)
class _Line:
    state: PhaseState = PhaseState.WAITING
    began_s: float = 0.0
    seconds: float = 0.0
    step: str = ""


class JsonLines:
    """One event a line on stdout; logs only if they are asked for."""

    def __init__(self, *, logs: bool) -> None:
        self.compose_id = ""
        self._logs = logs

    def on_event(self, event: ComposeEvent) -> None:
        if isinstance(event, ComposeStarted):
            self.compose_id = event.compose_id
        if self._logs or not isinstance(event, PhaseLog):
            with suppress(BrokenPipeError):  # nobody reads any more: the compose goes on
                write_json(as_json(event))

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()


class Lines:
    """A line on stderr whenever a phase begins, moves on to another step, or ends; with `logs` their output too."""

    def __init__(self, *, logs: bool) -> None:
        self.compose_id = ""
        self._logs = logs
        self._console = Console(stderr=True)
        self._steps: dict[tuple[str, Target | None], str] = {}

    def on_event(self, event: ComposeEvent) -> None:
        match event:
            case ComposeStarted():
                self.compose_id = event.compose_id
                self._say(f"{'going on with' if event.resumed else 'compose'} {event.compose_id}")
            case PhaseStarted():
                self._say(f"{_name(event.phase, event.target)}: begins{_again(event.attempt)}")
            case PhaseProgress() if self._steps.get((event.phase, event.target)) != event.step:
                self._steps[event.phase, event.target] = event.step
                self._say(f"{_name(event.phase, event.target)}: {event.step[:_STEP_CHARACTERS]}")
            case PhaseRetry():
                self._say(f"{_name(event.phase, event.target)}: {event.error.message}; again in {event.wait_s:g} s")
            case PhaseDone() if event.state is not PhaseState.SKIPPED:
                self._say(f"{_name(event.phase, event.target)}: {event.state} after {event.seconds:.1f} s")
            case PhaseLog() if self._logs:
                sys.stderr.buffer.write(event.chunk)
                sys.stderr.buffer.flush()

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveTree:
    """The tree of phases on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.compose_id = ""
        self._console = console or Console(stderr=True)
        self._lines: dict[tuple[str, Target | None], _Line] = {}

    def on_event(self, event: ComposeEvent) -> None:
        match event:
            case ComposeStarted():
                self.compose_id = event.compose_id
                self._lines = {node: self._lines.get(node, _Line()) for node in event.phases}
            case PhaseStarted():
                line = self._line(event.phase, event.target)
                line.state, line.step = PhaseState.RUNNING, _again(event.attempt).strip()
                line.began_s = line.began_s or time.monotonic()
            case PhaseProgress():
                share = f" {100 * event.done / event.total:.0f} %" if event.total else ""
                self._line(event.phase, event.target).step = event.step[:_STEP_CHARACTERS] + share
            case PhaseRetry():
                line = self._line(event.phase, event.target)
                line.step = f"again in {event.wait_s:g} s: {event.error.message}"[:_STEP_CHARACTERS]
            case PhaseDone():
                line = self._line(event.phase, event.target)
                line.state, line.seconds = event.state, event.seconds
                line.step = (event.error.message if event.error else event.note)[:_STEP_CHARACTERS]

    def shown(self) -> AbstractContextManager[object]:
        return Live(
            console=self._console,
            get_renderable=self.rendered,
            refresh_per_second=_REFRESHES_A_SECOND,
            transient=False,
        )

    def _line(self, phase: str, target: Target | None) -> _Line:
        return self._lines.setdefault((phase, target), _Line())

    def rendered(self) -> RenderableType:
        """As it is now."""
        tree = Tree(Text(self.compose_id or "compose", style="bold"))
        branches: dict[Target | None, Tree] = {None: tree}
        shown = {node: line for node, line in self._lines.items() if not _is_left_out(line)}
        width = max((len(phase) for phase, _ in shown), default=0)
        states: dict[Target | None, set[PhaseState]] = {}
        for (_, target), line in shown.items():
            states.setdefault(target, set()).add(line.state)
        is_too_high = len(shown) + len(states) >= self._console.size.height
        for (phase, target), line in shown.items():
            if target not in branches:
                folded = _folded(states[target]) if is_too_high else None
                branches[target] = tree.add(Text.assemble((str(target), "bold"), *([folded] if folded else [])))
                branches[target].expanded = folded is None
            branches[target].add(_text(phase, line, width))
        return tree


def _is_left_out(line: _Line) -> bool:
    return line.state is PhaseState.SKIPPED and line.step in {"", "--just-phase", "--skip-phase"}


def _folded(states: set[PhaseState]) -> tuple[str, str] | None:
    """What stands for all phases of a target that nothing happens to, where the terminal is too low for all."""
    if states <= {PhaseState.DONE, PhaseState.REUSED, PhaseState.SKIPPED}:
        return "  ✔ done", "green"
    return ("  · waiting", "dim") if states <= {PhaseState.WAITING, PhaseState.SKIPPED} else None


def _text(phase: str, line: _Line, width: int) -> Text:
    mark, style = _STYLES[line.state]
    seconds = time.monotonic() - line.began_s if line.state is PhaseState.RUNNING else line.seconds
    shown_s = f"{seconds:7.1f} s" if seconds else " " * 9
    return Text(
        f"{mark} {phase:<{width}} {line.state:<8} {shown_s}  {line.step}",
        style=style,
        overflow="ellipsis",
        no_wrap=True,
    )


def _name(phase: str, target: Target | None) -> str:
    return phase if target is None else f"{phase} ({target})"


def _again(attempt: int) -> str:
    return f" (attempt {attempt})" if attempt > 1 else ""


def watcher(*, as_json: bool, logs: bool) -> Shown:
    """What fits the terminal and the options."""
    if as_json:
        return JsonLines(logs=logs)
    if logs or not sys.stderr.isatty():
        return Lines(logs=logs)
    return LiveTree()
