"""Which host takes which task."""

import pytest

from deborch_hub.domain.matching import Demand, HostSlot, Obstacle
from deborch_hub.domain.placement import Board, Pack
from deborch_shared.contract.states import HostState

GIB = 1 << 30


def slot(host_id: int = 1, **changes: object) -> HostSlot:
    values: dict[str, object] = {
        "host_id": host_id,
        "name": f"b{host_id}",
        "state": HostState.ENABLED,
        "online": True,
        "architectures": frozenset({"amd64"}),
        "tags": frozenset({"ssd"}),
        "cpu": 4,
        "memory_bytes": 8 * GIB,
        "disk_bytes": 100 * GIB,
    }
    return HostSlot(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "demand", "obstacle"),
    [
        ({}, Demand("amd64", frozenset({"ssd"}), 4, 8 * GIB, GIB), Obstacle.NONE),
        ({}, Demand(), Obstacle.NONE),
        ({"state": HostState.DRAINING}, Demand(), Obstacle.STATE),
        ({"state": HostState.DISABLED, "online": False}, Demand(), Obstacle.STATE),
        ({"online": False}, Demand(), Obstacle.LOST),
        ({"unready": "no space"}, Demand(cpu=1), Obstacle.UNREADY),
        ({"unready": "no space"}, Demand(), Obstacle.NONE),
        ({}, Demand("arm64"), Obstacle.ARCHITECTURE),
        ({}, Demand("amd64", frozenset({"gpu"})), Obstacle.TAGS),
        ({}, Demand("amd64", cpu=5), Obstacle.TOO_SMALL),
        ({"used_cpu": 2}, Demand("amd64", cpu=3), Obstacle.BUSY),
        ({"used_memory_bytes": 8 * GIB}, Demand("amd64", memory_bytes=1), Obstacle.BUSY),
        ({"used_disk_bytes": 100 * GIB}, Demand("amd64", disk_bytes=1), Obstacle.BUSY),
    ],
)
def test_the_first_obstacle_between_a_host_and_a_task_is_named(
    changes: dict[str, object], demand: Demand, obstacle: Obstacle
) -> None:
    assert slot(**changes).obstacle(demand) is obstacle


def board_of(*slots: HostSlot, demand: Demand | None = None) -> Board:
    board = Board()
    board.demands[1] = demand or Demand("amd64", cpu=1)
    board.rebuild(slots, [])
    return board


def test_tasks_are_spread_over_the_least_loaded_hosts() -> None:
    board = board_of(slot(1), slot(2))
    hosts = [board.place(task, 1) for task in range(4)]
    assert sorted(host.host_id for host in hosts if host) == [1, 1, 2, 2]


def test_packing_fills_one_host_before_the_next() -> None:
    board = board_of(slot(1), slot(2))
    board.strategy = Pack()
    hosts = [board.place(task, 1) for task in range(5)]
    assert [host.host_id for host in hosts if host] == [1, 1, 1, 1, 2]


def test_no_host_is_given_more_than_it_has() -> None:
    board = board_of(slot(1))
    placed = [board.place(task, 1) for task in range(6)]
    assert [host is not None for host in placed] == [True] * 4 + [False] * 2
    board.release(0)
    assert board.place(9, 1) is not None
    assert board.place(10, 1) is None


def test_a_host_that_refused_a_task_is_not_offered_it_again_until_forgiven() -> None:
    board = board_of(slot(1))
    board.shun(7, 1)
    assert board.place(7, 1) is None
    assert board.place(8, 1) is not None
    board.forgive()
    assert board.place(7, 1) is not None


def test_weightless_tasks_of_one_batch_travel_to_one_host_and_the_next_batch_to_another() -> None:
    board = board_of(slot(1), slot(2), demand=Demand())
    first = {host.host_id for _, host in board.place_batch([(1, 1), (2, 1), (3, 1)]) if host}
    second = {host.host_id for _, host in board.place_batch([(4, 1), (5, 1)]) if host}
    assert len(first) == len(second) == 1
    assert first != second


def test_releasing_a_task_that_is_nowhere_changes_nothing() -> None:
    board = board_of(slot(1))
    board.release(99)
    assert board.hosts[1].used_cpu == 0


def test_refreshing_hosts_keeps_what_is_reserved_on_them() -> None:
    board = board_of(slot(1))
    board.place(1, 1)
    board.refresh_hosts([slot(1, state=HostState.DRAINING)])
    assert board.hosts[1].used_cpu == 1
    assert board.place(2, 1) is None
