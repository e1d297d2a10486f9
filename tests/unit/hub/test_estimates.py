"""What earlier builds used says what the next one asks for."""

import pytest

from deborch_hub.domain.estimates import Largest, Measurement, demand_of, expected_s
from deborch_hub.domain.matching import Demand

MIB, GIB = 1 << 20, 1 << 30
DEFAULT = Demand("amd64", frozenset({"ssd"}), cpu=4, memory_bytes=GIB, disk_bytes=2 * GIB)
LARGE = Largest(64 * GIB, 500 * GIB)


def used(**changes: float) -> Measurement:
    values = {"wall_s": 100.0, "cpu_s": 350.0, "memory_peak_bytes": 500 * MIB, "disk_bytes": 3 * GIB}
    return Measurement(**{**values, **changes})  # type: ignore[arg-type]


def test_a_build_of_which_nothing_is_known_asks_for_the_defaults() -> None:
    assert demand_of(DEFAULT, [], None) == DEFAULT
    assert expected_s([]) is None


def test_the_highest_use_and_a_margin_are_asked_for_in_steps() -> None:
    demand = demand_of(DEFAULT, [used(), used(memory_peak_bytes=2000 * MIB)], LARGE)
    assert (demand.memory_bytes, demand.disk_bytes) == (3 * GIB, 4 * GIB)
    assert (demand.architecture, demand.required_tags, demand.cpu) == ("amd64", frozenset({"ssd"}), 4)


@pytest.mark.parametrize(("cpu_s", "cpu"), [(0.0, 4), (10.0, 1), (100.0, 2), (350.0, 4), (2000.0, 4)])
def test_processors_that_were_idle_are_not_asked_for_and_never_more_than_by_default(cpu_s, cpu) -> None:
    assert demand_of(DEFAULT, [used(cpu_s=cpu_s)], LARGE).cpu == cpu


def test_what_a_host_does_not_count_stays_the_default() -> None:
    demand = demand_of(DEFAULT, [used(memory_peak_bytes=None, disk_bytes=None)], LARGE)
    assert (demand.memory_bytes, demand.disk_bytes) == (GIB, 2 * GIB)


def test_a_tiny_build_asks_for_a_least() -> None:
    demand = demand_of(DEFAULT, [used(memory_peak_bytes=MIB, disk_bytes=0)], LARGE)
    assert (demand.memory_bytes, demand.disk_bytes) == (256 * MIB, 512 * MIB)


def test_nothing_is_asked_for_that_no_host_has() -> None:
    demand = demand_of(DEFAULT, [used(memory_peak_bytes=7 * GIB)], Largest(8 * GIB, 3 * GIB))
    assert (demand.memory_bytes, demand.disk_bytes) == (8 * GIB, 3 * GIB)


def test_only_the_newest_builds_count() -> None:
    demand = demand_of(DEFAULT, [used()] * 5 + [used(memory_peak_bytes=60 * GIB)], LARGE)
    assert demand.memory_bytes == 768 * MIB
    assert expected_s([used(wall_s=1.0), used(wall_s=2.0), used(wall_s=90.0)]) == 2.0
