"""The whole state x move product of a task."""

import itertools

import pytest

from deborch_hub.domain.transitions import TASK_TRANSITIONS, Move, sources_of, target_of, transition
from deborch_shared.contract.states import TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import EVENT_MODELS

PRODUCT = list(itertools.product(TaskState, Move))
LEGAL = {
    ("blocked", "unblock"): "free",
    ("blocked", "cancel"): "canceled",
    ("blocked", "fail"): "failed",
    ("blocked", "give-back"): "free",
    ("free", "assign"): "assigned",
    ("free", "cancel"): "canceled",
    ("assigned", "start"): "running",
    ("assigned", "free"): "free",
    ("assigned", "fail"): "failed",
    ("assigned", "cancel"): "canceled",
    ("running", "complete"): "completed",
    ("running", "fail"): "failed",
    ("running", "free"): "free",
    ("running", "dep-wait"): "blocked",
    ("running", "cancel"): "canceled",
    ("failed", "give-back"): "free",
    ("canceled", "give-back"): "free",
}


@pytest.mark.parametrize(("state", "move"), PRODUCT)
def test_each_move_is_legal_from_the_states_that_the_design_names_and_from_no_other(
    state: TaskState, move: Move
) -> None:
    expected = LEGAL.get((state.value, move.value))
    if expected is None:
        with pytest.raises(DeborchError) as refused:
            transition(state, move)
        assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    else:
        assert transition(state, move).to == expected


def test_a_completed_task_never_moves_again() -> None:
    assert not [move for state, move in TASK_TRANSITIONS if state is TaskState.COMPLETED]


def test_every_transition_emits_an_event_that_is_registered() -> None:
    for row in TASK_TRANSITIONS.values():
        assert (row.emits.TYPE, row.emits.VERSION) in EVENT_MODELS


@pytest.mark.parametrize("move", Move)
def test_a_move_leads_to_one_state_wherever_it_starts(move: Move) -> None:
    assert sources_of(move)
    assert isinstance(target_of(move), TaskState)
