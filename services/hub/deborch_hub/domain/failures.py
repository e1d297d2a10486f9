"""What follows from each class of failure, as data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from deborch_hub.domain.transitions import Move
from deborch_shared.events.model import FailureClass

_FOLLOWS: dict[str, Move] = {
    "dep-wait": Move.DEP_WAIT,
    "chroot-fault": Move.FREE,
    "fetch-fault": Move.FREE,
    "host-lost": Move.FREE,
    "refused": Move.FREE,
    "internal": Move.FREE,
    "compile": Move.FAIL,
    "test": Move.FAIL,
    "install": Move.FAIL,
    "timeout": Move.FAIL,
    "log-idle": Move.FAIL,
    "log-limit": Move.FAIL,
    "policy": Move.FAIL,
    "killed": Move.FAIL,
    "killed-oom": Move.FAIL,
    "killed-limit": Move.FAIL,
}
if set(_FOLLOWS) != set(get_args(FailureClass)):
    raise AssertionError("every failure class needs a row")
FOLLOWS: Mapping[str, Move] = MappingProxyType(_FOLLOWS)


def move_after(failure_class: str | None, times_freed: int, max_attempts: int, *, begun: bool = True) -> Move:
    """What a failed attempt leads to; a fault that comes again `max_attempts` times is a failure.

    `times_freed` counts the attempts before this one that had begun and were freed by a fault. An attempt that never
    begun says nothing of the task: it was refused, or did not reach its host.
    """
    move = FOLLOWS.get(failure_class or "internal", Move.FAIL)
    if move is Move.FREE and begun and failure_class != "refused" and times_freed + 1 >= max_attempts:
        return Move.FAIL
    return move
