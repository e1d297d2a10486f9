"""Which tasks a source needs, and what follows from a failure."""

from typing import get_args

import pytest

from deborch_hub.domain.artifacts import kind_of
from deborch_hub.domain.failures import FOLLOWS, move_after
from deborch_hub.domain.planning import plan_builds
from deborch_hub.domain.transitions import Move
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import FailureClass


@pytest.mark.parametrize(
    ("source", "target", "asked", "expected"),
    [
        (["any"], ["amd64"], [], [("amd64", "any")]),
        (["any", "all"], ["amd64", "arm64"], [], [("amd64", "any+all"), ("arm64", "any")]),
        (["all"], ["amd64", "arm64"], [], [("amd64", "all")]),
        (["arm64"], ["amd64", "arm64"], [], [("arm64", "any")]),
        (["linux-any"], ["riscv64"], [], [("riscv64", "any")]),
        (["any-amd64", "all"], ["amd64"], [], [("amd64", "any+all")]),
        (["any", "all"], ["amd64", "arm64"], ["arm64"], [("arm64", "any+all")]),
    ],
)
def test_each_architecture_gets_its_task_and_the_first_makes_the_independent_packages(
    source: list[str], target: list[str], asked: list[str], expected: list[tuple[str, str]]
) -> None:
    assert [(plan.architecture, plan.mode) for plan in plan_builds(source, target, asked)] == expected


def test_an_architecture_that_the_target_lacks_is_refused() -> None:
    with pytest.raises(DeborchError, match="riscv64") as refused:
        plan_builds(["any"], ["amd64"], ["riscv64"])
    assert refused.value.code is ErrorCode.INVALID_INPUT


def test_a_source_that_fits_none_of_the_architectures_is_refused() -> None:
    with pytest.raises(DeborchError) as refused:
        plan_builds(["armhf"], ["amd64"])
    assert refused.value.code is ErrorCode.INVALID_SOURCE


def test_every_failure_class_has_a_consequence() -> None:
    assert set(FOLLOWS) == set(get_args(FailureClass))


def test_a_fault_is_tried_again_until_the_attempts_are_used_up() -> None:
    assert [move_after("chroot-fault", freed, 3) for freed in range(3)] == [Move.FREE, Move.FREE, Move.FAIL]


def test_a_refusal_never_uses_up_attempts() -> None:
    assert move_after("refused", 99, 3) is Move.FREE


def test_an_attempt_that_never_begun_uses_up_nothing() -> None:
    assert move_after("host-lost", 99, 3, begun=False) is Move.FREE


def test_missing_build_dependencies_block_and_a_compiler_error_fails() -> None:
    assert move_after("dep-wait", 5, 3) is Move.DEP_WAIT
    assert move_after("compile", 0, 3) is Move.FAIL


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a_1_amd64.deb", "deb"),
        ("a_1.dsc", "dsc"),
        ("a_1.orig.tar.xz", "source"),
        ("a_1_amd64.buildinfo", "buildinfo"),
        ("a_1_amd64.build", "log"),
    ],
)
def test_the_kind_of_a_result_follows_from_its_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind
