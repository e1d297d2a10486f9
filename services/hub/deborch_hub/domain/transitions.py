"""The life of a task and of a build, as tables. Every legal move is a row; what is not a row is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from deborch_shared.contract.states import BuildState, TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import (
    BuildCanceled,
    BuildCompleted,
    BuildFailed,
    BuildRequested,
    EventData,
    TaskAssigned,
    TaskBlocked,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskFreed,
    TaskRunning,
)


class Move(StrEnum):
    """What can happen to a task."""

    UNBLOCK = "unblock"
    ASSIGN = "assign"
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    FREE = "free"
    """Refused, lease expired, or failed for a reason that another host or another time may not have."""
    DEP_WAIT = "dep-wait"
    CANCEL = "cancel"
    GIVE_BACK = "give-back"
    """A person asks to try again what had ended without success."""


@dataclass(frozen=True, slots=True)
class Transition:
    to: TaskState
    emits: type[EventData]


_S = TaskState
_TABLE: dict[tuple[TaskState, Move], Transition] = {
    (_S.BLOCKED, Move.UNBLOCK): Transition(_S.FREE, TaskFreed),
    (_S.BLOCKED, Move.CANCEL): Transition(_S.CANCELED, TaskCanceled),
    (_S.BLOCKED, Move.FAIL): Transition(_S.FAILED, TaskFailed),
    (_S.FREE, Move.ASSIGN): Transition(_S.ASSIGNED, TaskAssigned),
    (_S.FREE, Move.CANCEL): Transition(_S.CANCELED, TaskCanceled),
    (_S.ASSIGNED, Move.START): Transition(_S.RUNNING, TaskRunning),
    (_S.ASSIGNED, Move.FREE): Transition(_S.FREE, TaskFreed),
    (_S.ASSIGNED, Move.FAIL): Transition(_S.FAILED, TaskFailed),
    (_S.ASSIGNED, Move.CANCEL): Transition(_S.CANCELED, TaskCanceled),
    (_S.RUNNING, Move.COMPLETE): Transition(_S.COMPLETED, TaskCompleted),
    (_S.RUNNING, Move.FAIL): Transition(_S.FAILED, TaskFailed),
    (_S.RUNNING, Move.FREE): Transition(_S.FREE, TaskFreed),
    (_S.RUNNING, Move.DEP_WAIT): Transition(_S.BLOCKED, TaskBlocked),
    (_S.RUNNING, Move.CANCEL): Transition(_S.CANCELED, TaskCanceled),
    (_S.FAILED, Move.GIVE_BACK): Transition(_S.FREE, TaskFreed),
    (_S.CANCELED, Move.GIVE_BACK): Transition(_S.FREE, TaskFreed),
    (_S.BLOCKED, Move.GIVE_BACK): Transition(_S.FREE, TaskFreed),
}
TASK_TRANSITIONS: Mapping[tuple[TaskState, Move], Transition] = MappingProxyType(_TABLE)

BUILD_EVENTS: Mapping[BuildState, type[EventData]] = MappingProxyType(
    {
        BuildState.BUILDING: BuildRequested,
        BuildState.COMPLETED: BuildCompleted,
        BuildState.FAILED: BuildFailed,
        BuildState.CANCELED: BuildCanceled,
    }
)
"""What a build emits when it enters a state; publishing is told of by `archive.published`."""


def transition(state: TaskState, move: Move) -> Transition:
    """The legal transition for `move` out of `state`.

    Raises:
        DeborchError: ILLEGAL_TRANSITION, if the table has none.
    """
    found = TASK_TRANSITIONS.get((state, move))
    if found is None:
        raise DeborchError(
            ErrorCode.ILLEGAL_TRANSITION,
            f"a task that is {state} cannot {move}",
            hint="`deborch task show` tells its state; it may have changed since you looked",
        )
    return found


def sources_of(move: Move) -> list[str]:
    """The states out of which `move` is legal, for the WHERE of a guarded update."""
    return [state.value for state, possible in TASK_TRANSITIONS if possible is move]


def target_of(move: Move) -> TaskState:
    """The one state that `move` leads to."""
    (state,) = {row.to for (_, possible), row in TASK_TRANSITIONS.items() if possible is move}
    return state
