"""The life of a compose, as a table, and when a schedule asks for the next one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import EventData
from deborch_shared.events.composes import (
    ComposeCanceled,
    ComposeFailed,
    ComposeFinished,
    ComposeRequested,
    ComposeRunning,
)

MOST_ATTEMPTS = 5
"""Since it was asked for or resumed: what has cost so many composers their life is given to no other."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ComposeMove(StrEnum):
    """What can happen to a compose."""

    CLAIM = "claim"
    FINISH = "finish"
    FINISH_INCOMPLETE = "finish-incomplete"
    FAIL = "fail"
    RELEASE = "release"
    """Its composer gave it back, or was not heard for a lease's time."""
    CANCEL = "cancel"
    RESUME = "resume"
    """A person asks to go on with what had ended without success."""


@dataclass(frozen=True, slots=True)
class ComposeTransition:
    to: ComposeState
    emits: type[EventData]


_S, _M, _T = ComposeState, ComposeMove, ComposeTransition
_TABLE = {
    (_S.REQUESTED, _M.CLAIM): _T(_S.RUNNING, ComposeRunning),
    (_S.REQUESTED, _M.CANCEL): _T(_S.CANCELED, ComposeCanceled),
    (_S.RUNNING, _M.FINISH): _T(_S.FINISHED, ComposeFinished),
    (_S.RUNNING, _M.FINISH_INCOMPLETE): _T(_S.FINISHED_INCOMPLETE, ComposeFinished),
    (_S.RUNNING, _M.FAIL): _T(_S.FAILED, ComposeFailed),
    (_S.RUNNING, _M.RELEASE): _T(_S.REQUESTED, ComposeRequested),
    (_S.RUNNING, _M.CANCEL): _T(_S.CANCELED, ComposeCanceled),
    (_S.FAILED, _M.RESUME): _T(_S.REQUESTED, ComposeRequested),
    (_S.CANCELED, _M.RESUME): _T(_S.REQUESTED, ComposeRequested),
}
COMPOSE_TRANSITIONS: Mapping[tuple[ComposeState, ComposeMove], ComposeTransition] = MappingProxyType(_TABLE)

MOVE_AFTER: Mapping[str, ComposeMove] = MappingProxyType(
    {"finished": _M.FINISH, "finished_incomplete": _M.FINISH_INCOMPLETE, "failed": _M.FAIL, "canceled": _M.FAIL}
)
"""What the outcome that a composer reports does. One that it canceled by itself has failed: nobody asked for that."""


def compose_transition(state: ComposeState, move: ComposeMove) -> ComposeTransition:
    """The legal transition for `move` out of `state`.

    Raises:
        DeborchError: ILLEGAL_TRANSITION, if the table has none.
    """
    found = COMPOSE_TRANSITIONS.get((state, move))
    if found is None:
        raise DeborchError(
            ErrorCode.ILLEGAL_TRANSITION,
            f"a compose that is {state} cannot {move}",
            hint="`deborch compose show` tells its state; it may have changed since you looked",
        )
    return found


def next_run(
    after: datetime, *, daily_at: str | None, weekdays: Collection[str], every_s: int | None, last: datetime | None
) -> datetime:
    """When a schedule runs next after `after`; `last`: when it was due last. Times of the clock are UTC.

    Runs that were missed while nothing ran are not made up for.
    """
    if every_s is not None:
        interval = timedelta(seconds=every_s)
        if last is None:
            return after + interval
        return last + interval * max(1, (after - last) // interval + 1)
    if daily_at is None:
        raise ValueError("a schedule has a time or an interval")
    hour, minute = (int(part) for part in daily_at.split(":"))
    at = after.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    while at <= after or (weekdays and WEEKDAYS[at.weekday()] not in weekdays):
        at += timedelta(days=1)
    return at
