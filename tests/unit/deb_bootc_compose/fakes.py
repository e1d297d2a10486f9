"""Phases that do nothing but say so, treefiles made by hand, and a clock that does not wait."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deb_bootc_compose.engine import Engine
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope, Target
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.events import ComposeEvent, PhaseDone
from deb_bootc_compose.phases.registry import named
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

AMD64 = Target("server", "amd64")
ARM64 = Target("server", "arm64")
Does = Callable[[PhaseWork], Awaitable[dict[str, Any] | None]]


class FakePhase(BarePhase):
    """Writes a file; counts its runs. `does` may wait, fail, or return facts."""

    def __init__(self, name: str, *needs: str, does: Does | None = None, depends_on: Any = 0, **members: Any) -> None:
        self.name = name
        self.needs = needs
        self.does = does
        self.depends_on = depends_on
        self.asked: list[str] = []
        self.runs: list[str] = []
        self.is_failable = False
        self.is_whole = True
        for member, value in members.items():
            setattr(self, member, value)

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return self.is_failable

    async def inputs(self, work: PhaseWork) -> dict[str, Any]:
        self.asked.append(str(work.target))
        return {"treefile": work.treefile.suite if work.target else None, "of": self.depends_on}

    async def holds(self, work: PhaseWork, result: PhaseResult) -> bool:
        return self.is_whole

    async def run(self, work: PhaseWork) -> dict[str, Any]:
        self.runs.append(str(work.target))
        work.progress.log(f"{self.name} runs\n".encode())
        (work.directory / "made").write_text(self.name)
        facts = await self.does(work) if self.does else None
        return {"made": self.name} if facts is None else facts


@dataclass
class FakeClock:
    """Sleeps take no time, but are written down."""

    slept_s: list[float] = field(default_factory=list)
    at_s: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 27, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def monotonic_s(self) -> float:
        return self.at_s

    async def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.at_s += duration_s
        await asyncio.sleep(0)


class Watcher:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[ComposeEvent] = []

    def on_event(self, event: ComposeEvent) -> None:
        self.events.append(event)

    def states(self) -> dict[str, str]:
        """How each phase ended, by name (and target where there are several)."""
        done = [event for event in self.events if isinstance(event, PhaseDone)]
        several = len({event.target for event in done if event.target}) > 1
        return {f"{event.phase}.{event.target}" if several else event.phase: event.state.value for event in done}


def treefile(target: Target = AMD64, **keys: Any) -> ResolvedTreefile:
    return ResolvedTreefile.model_validate(
        {
            "name": "sample",
            "variant": target.variant,
            "architecture": target.architecture,
            "directory": Path("/nowhere"),
            "suite": "trixie",
            "ref": "sample",
            **keys,
        }
    )


def engine(root: Path, phases: Iterable[BarePhase], targets: Iterable[Target] = (AMD64,), **keys: Any) -> Engine:
    treefiles = {target: treefile(target, **keys) for target in targets}
    return Engine(State(root), lambda _: treefiles, named(phases), clock=FakeClock())


def request(**fields: Any) -> ComposeRequest:
    return ComposeRequest(treefile=Path("sample.yaml"), **fields)


def of_compose(name: str, *needs: str, **members: Any) -> FakePhase:
    return FakePhase(name, *needs, scope=Scope.COMPOSE, **members)
