"""What a compose tells whoever watches it: the command line, the daemon, a test."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.request import ComposeStatus
from deborch_shared.errors import DeborchError


class PhaseState(StrEnum):
    """Where a phase of a compose is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    """Its record was there."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Left out: not asked for, or what it needs is not there."""
    CANCELED = "canceled"


FINISHED = frozenset({PhaseState.DONE, PhaseState.REUSED})


@dataclass(frozen=True, slots=True)
class ComposeStarted:
    """First of all, when the plan is made. `phases`: in the order in which they can run."""

    compose_id: str
    directory: str
    phases: tuple[tuple[str, Target | None], ...]
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """`attempt` counts from 1."""

    phase: str
    target: Target | None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """What a phase does now; `total` 0: not known."""

    phase: str
    target: Target | None
    step: str
    done: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class PhaseLog:
    """More of a phase's log. `offset`: of its first byte in the log file."""

    phase: str
    target: Target | None
    chunk: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class PhaseRetry:
    """It failed for now, and is tried again after `wait_s`."""

    phase: str
    target: Target | None
    error: DeborchError
    wait_s: float


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """The end of a phase, good or bad. `note`: why it was skipped."""

    phase: str
    target: Target | None
    state: PhaseState
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    error: DeborchError | None = None
    failable: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ComposeDone:
    """Last of all."""

    compose_id: str
    status: ComposeStatus
    seconds: float
    errors: tuple[DeborchError, ...] = ()


ComposeEvent = ComposeStarted | PhaseStarted | PhaseProgress | PhaseLog | PhaseRetry | PhaseDone | ComposeDone


class Observer(Protocol):
    """Told of each event as it happens, in the event loop's thread. Must not block."""

    def on_event(self, event: ComposeEvent) -> None:
        """Something happened."""


class Unobserved:
    """Nobody watches."""

    def on_event(self, event: ComposeEvent) -> None:
        """Nothing."""


_NAMES = {
    ComposeStarted: "compose.started",
    PhaseStarted: "phase.started",
    PhaseProgress: "phase.progress",
    PhaseLog: "phase.log",
    PhaseRetry: "phase.retry",
    PhaseDone: "phase.done",
    ComposeDone: "compose.done",
}


def as_json(event: ComposeEvent) -> dict[str, Any]:
    """`event` for programs: one object, its kind in `event`, targets as `VARIANT.ARCHITECTURE`."""
    fields = {name: _plain(getattr(event, name)) for name in type(event).__dataclass_fields__}
    return {"event": _NAMES[type(event)], **fields}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever fields hold
    if isinstance(value, Target):
        return str(value)
    if isinstance(value, DeborchError):
        return {"code": value.code, "message": value.message, "hint": value.hint, **value.fields}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
