"""Watching a compose until it is over: a live page on a terminal, a line per change elsewhere, JSON Lines."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, Self

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from deborch_cli.output import Duration, State, Table
from deborch_cli.output.cells import printable, rich
from deborch_cli.output.printer import emit_line, stdout
from deborch_cli.watching.streams import ask_patiently, follow_events
from deborch_shared.contract.composes import Compose, ComposePhase
from deborch_shared.contract.states import PhaseState
from deborch_shared.http import ApiClient

_SETTLE_S = 0.1
_ASK_ANYWAY_AFTER_S = 5.0
_REFRESHES_PER_S = 4
_FROM_THE_BEGINNING = "0-0"
_QUIET = frozenset({PhaseState.WAITING, PhaseState.SKIPPED})


class ComposeView(Protocol):
    """Shows what is watched."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, compose: Compose) -> None:
        """It is like this now."""

    def event(self, event: str) -> None:
        """An event about it, as JSON."""


async def watch_compose(hub: ApiClient, compose_id: int, view: ComposeView) -> Compose:
    """Watch until the compose is over."""

    async def ask() -> Compose:
        return await hub.get(f"/api/v1/composes/{compose_id}", Compose)

    changed = asyncio.Event()

    async def listen() -> None:
        params = {"compose_id": str(compose_id)}
        async for event in follow_events(hub, params, last_id=_FROM_THE_BEGINNING):
            view.event(event.data)
            changed.set()

    compose = await ask()
    view.show(compose)
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(listen())
        try:
            while not compose.state.is_terminal:
                await _something_new(changed)
                compose = await ask_patiently(ask)
                view.show(compose)
        finally:
            listener.cancel()
    return compose


async def _something_new(changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_ASK_ANYWAY_AFTER_S):
            await changed.wait()
    except TimeoutError:
        return
    await asyncio.sleep(_SETTLE_S)
    changed.clear()


def compose_view(*, as_json: bool) -> ComposeView:
    """What fits where the output goes."""
    if as_json:
        return JsonComposeView()
    console = stdout()
    return LiveComposeView(console) if console.is_terminal else LineComposeView()


class LineComposeView:
    """One line for each change, with the time of day."""

    def __init__(self) -> None:
        self._last: Compose | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, compose: Compose) -> None:
        for line in compose_changes(self._last, compose):
            sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S}  {printable(line)}\n")
        sys.stdout.flush()
        self._last = compose

    def event(self, event: str) -> None:
        """The changes say it."""


class JsonComposeView(LineComposeView):
    """JSON Lines: `{"event": ...}` for each event, and `{"compose": ...}` for each new state."""

    def show(self, compose: Compose) -> None:
        if compose != self._last:
            emit_line({"compose": compose.model_dump(mode="json")})
        self._last = compose

    def event(self, event: str) -> None:
        emit_line({"event": orjson.loads(event)})


class LiveComposeView:
    """A page that stays in place: the compose and its phases."""

    def __init__(self, console: Console) -> None:
        self._compose: Compose | None = None
        self._live = Live(
            console=console, get_renderable=self._page, refresh_per_second=_REFRESHES_PER_S, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, compose: Compose) -> None:
        self._compose = compose
        self._live.refresh()

    def event(self, event: str) -> None:
        """The page shows what came of it."""

    def _page(self) -> RenderableType:
        compose = self._compose
        if compose is None:
            return Text("")
        took = Duration.between(compose.started_at or compose.created_at, compose.ended_at)
        title = f"Compose {compose.id}  {compose.engine_name or compose.name}"
        heading = Text.assemble((printable(title), "bold"), "  ", rich(State(compose.state)), "  ", rich(took))
        return Group(heading, Text(), phase_table(compose.phases).rich())


def phase_table(phases: Sequence[ComposePhase]) -> Table:
    """The phases of a compose, as the page and `compose show` have them."""
    rows = [
        (phase.phase, phase.target, State(phase.state), _took(phase), _remark(phase))
        for phase in phases
        if phase.state is not PhaseState.SKIPPED
    ]
    return Table(("phase", "target", "state", "took", "remark"), rows, "no composer has begun")


def _took(phase: ComposePhase) -> Duration:
    if phase.state is PhaseState.RUNNING:
        return Duration.between(phase.started_at, None)
    return Duration(None if phase.state in _QUIET else phase.seconds)


def _remark(phase: ComposePhase) -> str:
    if phase.state is PhaseState.RUNNING:
        return step_of(phase)
    return phase.message


def step_of(phase: ComposePhase) -> str:
    """`download 40 of 170`: what a running phase does."""
    if not phase.total:
        return phase.step
    return f"{phase.step} {round(100 * min(phase.done / phase.total, 1))} %".strip()


def compose_changes(before: Compose | None, now: Compose) -> list[str]:
    """Lines such as `gather minimal.amd64: done (12.0 s)`, the compose's own change last."""
    known = {(phase.phase, phase.target): _seen(phase) for phase in (before.phases if before else ())}
    lines = [
        f"{name_of(phase)}: {_said(phase)}"
        for phase in now.phases
        if known.get((phase.phase, phase.target)) != _seen(phase) and phase.state not in _QUIET
    ]
    if before is None or (before.state, before.attempt) != (now.state, now.attempt):
        where = f" on {now.composer}" if now.composer and not now.state.is_terminal else ""
        again = f", attempt {now.attempt}" if now.attempt > 1 else ""
        said = f": {now.message}" if now.message else ""
        lines.append(f"compose {now.id} {now.name}: {now.state}{where}{again}{said}")
    return lines


def name_of(phase: ComposePhase) -> str:
    return f"{phase.phase} {phase.target}".rstrip()


def _said(phase: ComposePhase) -> str:
    if phase.state is PhaseState.RUNNING:
        return f"running ({phase.step})" if phase.step else "running"
    said = f": {phase.message}" if phase.message else ""
    return f"{phase.state} ({phase.seconds:.1f} s){said}"


def _seen(phase: ComposePhase) -> tuple[object, ...]:
    return phase.state, phase.step if phase.state is PhaseState.RUNNING else "", phase.message
