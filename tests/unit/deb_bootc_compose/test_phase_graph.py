"""Which phases a compose has, and in which order."""

from typing import Any

import pytest
from tests.unit.deb_bootc_compose.fakes import AMD64, ARM64, FakePhase, of_compose, request, treefile

from deb_bootc_compose.phases.graph import Node, plan
from deb_bootc_compose.phases.registry import named
from deborch_shared.errors import DeborchError, ErrorCode

ONE = {AMD64: treefile()}
TWO = {AMD64: treefile(), ARM64: treefile(ARM64)}


def usual() -> list[FakePhase]:
    return [
        of_compose("cleanup", after=("*",)),
        of_compose("metadata", after=("output.*", "ostree")),
        FakePhase("output.qcow2", "output.raw"),
        FakePhase("output.raw", "ostree"),
        FakePhase("ostree", "gather"),
        FakePhase("gather"),
        of_compose("init"),
    ]


def names(phases, **fields: Any):
    return [node.phase for node in plan(named(phases), request(**fields), ONE).order]


def test_phases_run_after_all_that_they_need_or_come_after():
    assert names(usual()) == ["init", "gather", "ostree", "output.raw", "output.qcow2", "metadata", "cleanup"]


def test_a_phase_of_the_compose_waits_for_every_target_and_a_target_only_for_itself():
    graph = plan(named(usual()), request(), TWO)
    assert graph.waits[Node("ostree", ARM64)] == {Node("gather", ARM64), Node("init")}
    assert {Node("ostree", AMD64), Node("ostree", ARM64)} <= graph.waits[Node("metadata")]


def test_a_skipped_group_takes_with_it_what_needs_it_and_nothing_else():
    graph = plan(named(usual()), request(skip_phases=("output.raw",)), ONE)
    assert [node.phase for node in graph.order] == ["init", "gather", "ostree", "metadata", "cleanup"]
    assert graph.skipped[Node("output.qcow2", AMD64)] == "needs output.raw"
    assert names(usual(), skip_phases=("output",)) == ["init", "gather", "ostree", "metadata", "cleanup"]


def test_just_a_phase_means_it_and_what_it_needs():
    assert names(usual(), just_phases=("output.raw",)) == ["gather", "ostree", "output.raw"]
    assert names(usual(), just_phases=("output",), skip_phases=("output.qcow2",))[-1] == "output.raw"


def test_a_phase_that_is_not_wanted_is_left_out():
    phases = usual()
    phases[3].wanted = lambda request, treefile: treefile.architecture == "arm64"
    graph = plan(named(phases), request(), TWO)
    assert [node.target for node in graph.order if node.phase == "output.qcow2"] == [ARM64]


@pytest.mark.parametrize(
    ("phases", "code", "says"),
    [
        (
            [FakePhase("a", "b"), FakePhase("b", "c"), FakePhase("c", "a")],
            ErrorCode.PLUGIN_FAILED,
            "wait for each other",
        ),
        ([FakePhase("a", "nothing")], ErrorCode.PLUGIN_FAILED, "a needs nothing, which no installed phase is"),
    ],
)
def test_phases_that_cannot_be_ordered_are_refused_by_name(phases, code, says):
    with pytest.raises(DeborchError, match=says) as refused:
        names(phases)
    assert refused.value.code is code


def test_two_phases_of_one_name_are_refused():
    with pytest.raises(DeborchError, match="two phases are named gather"):
        named([FakePhase("gather"), FakePhase("gather")])


def test_a_selector_that_means_no_phase_is_refused_with_those_that_there_are():
    with pytest.raises(DeborchError, match="'ouput'") as refused:
        names(usual(), skip_phases=("ouput",))
    assert "output.raw" in refused.value.hint
