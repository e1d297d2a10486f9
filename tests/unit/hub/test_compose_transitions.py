"""The whole state x move product of a compose, and the times of schedules."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from deborch_hub.domain.composes import COMPOSE_TRANSITIONS, MOVE_AFTER, ComposeMove, compose_transition, next_run
from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import EVENT_MODELS

LEGAL = {
    ("requested", "claim"): "running",
    ("requested", "cancel"): "canceled",
    ("running", "finish"): "finished",
    ("running", "finish-incomplete"): "finished_incomplete",
    ("running", "fail"): "failed",
    ("running", "release"): "requested",
    ("running", "cancel"): "canceled",
    ("failed", "resume"): "requested",
    ("canceled", "resume"): "requested",
}


@pytest.mark.parametrize(("state", "move"), list(itertools.product(ComposeState, ComposeMove)))
def test_each_move_is_legal_from_the_states_that_the_design_names_and_from_no_other(
    state: ComposeState, move: ComposeMove
) -> None:
    expected = LEGAL.get((state.value, move.value))
    if expected is None:
        with pytest.raises(DeborchError) as refused:
            compose_transition(state, move)
        assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    else:
        assert compose_transition(state, move).to == expected


def test_every_transition_emits_an_event_that_is_registered() -> None:
    for row in COMPOSE_TRANSITIONS.values():
        assert (row.emits.TYPE, row.emits.VERSION) in EVENT_MODELS


def test_what_a_finished_compose_made_is_never_taken_back() -> None:
    assert not [move for state, move in COMPOSE_TRANSITIONS if state.is_finished]


def test_every_outcome_that_a_composer_reports_ends_the_compose() -> None:
    for move in MOVE_AFTER.values():
        assert compose_transition(ComposeState.RUNNING, move).to.is_terminal


NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("daily_at", "weekdays", "expected"),
    [
        ("12:01", (), NOON + timedelta(minutes=1)),
        ("12:00", (), NOON + timedelta(days=1)),
        ("03:00", (), NOON + timedelta(hours=15)),
        ("13:00", ("mon",), NOON + timedelta(days=3, hours=1)),
        ("11:00", ("fri",), NOON + timedelta(days=7, hours=-1)),
    ],
)
def test_a_daily_schedule_runs_at_the_next_time_of_its_weekdays(daily_at, weekdays, expected) -> None:
    assert next_run(NOON, daily_at=daily_at, weekdays=weekdays, every_s=None, last=None) == expected


def test_an_interval_keeps_its_rhythm_and_what_was_missed_is_not_made_up_for() -> None:
    def following(after: datetime) -> datetime:
        return next_run(after, daily_at=None, weekdays=(), every_s=3600, last=NOON)

    assert following(NOON) == NOON + timedelta(hours=1)
    assert following(NOON + timedelta(minutes=59)) == NOON + timedelta(hours=1)
    assert following(NOON + timedelta(hours=7, minutes=5)) == NOON + timedelta(hours=8)
