"""Placing tasks on hosts: the board that the scheduling replica keeps in memory, and the strategy port.

The board is a cache of the database and a ledger of what is reserved; every write that follows from it is guarded
in the database, so that a stale board costs a retry and never a wrong state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from deborch_hub.domain.matching import Demand, HostSlot, Obstacle


class Strategy(Protocol):
    """Chooses among hosts that all would do."""

    def choose(self, demand: Demand, hosts: Sequence[HostSlot]) -> HostSlot: ...


class Spread:
    """The host with the least of its fullest resource in use; among equals, the one with the fewest tasks."""

    def choose(self, demand: Demand, hosts: Sequence[HostSlot]) -> HostSlot:  # noqa: ARG002 - of the port
        return min(hosts, key=lambda host: (host.load, len(host.tasks), host.host_id))


class Pack:
    """The fullest host that still has room, so that others can be scaled away."""

    def choose(self, demand: Demand, hosts: Sequence[HostSlot]) -> HostSlot:  # noqa: ARG002 - of the port
        return max(hosts, key=lambda host: (host.load, len(host.tasks), -host.host_id))


STRATEGIES: dict[str, type[Strategy]] = {"spread": Spread, "pack": Pack}


@dataclass(slots=True)
class Board:
    """Hosts and what runs on them, as the scheduling replica knows it."""

    strategy: Strategy = field(default_factory=Spread)
    hosts: dict[int, HostSlot] = field(default_factory=dict)
    demands: dict[int, Demand] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    """Requirement ids that may have FREE tasks."""
    changes: int = 0
    """Counts changes, so that a slow read of the database is not laid over newer knowledge."""
    _placed: dict[int, tuple[int, int]] = field(default_factory=dict)
    _shunned: dict[int, set[int]] = field(default_factory=dict)
    _light_turn: int = 0

    def place(self, task_id: int, requirement_id: int) -> HostSlot | None:
        """Reserve room for a task, or None if no host has it."""
        demand = self.demands[requirement_id]
        avoid = self._shunned.get(task_id, ())
        fitting = [
            host for host in self.hosts.values() if host.host_id not in avoid and host.obstacle(demand) is Obstacle.NONE
        ]
        if not fitting:
            return None
        host = self.strategy.choose(demand, fitting)
        self._reserve(host, task_id, requirement_id)
        return host

    def place_batch(self, items: Iterable[tuple[int, int]]) -> list[tuple[int, HostSlot | None]]:
        """Place (task, requirement) pairs. Weightless tasks of one batch go to one host, the next batch to the next:
        they need no room, and one message carries them all."""
        placed: list[tuple[int, HostSlot | None]] = []
        light: dict[int, HostSlot | None] = {}
        for task_id, requirement_id in items:
            if not self.demands[requirement_id].is_weightless or task_id in self._shunned:
                placed.append((task_id, self.place(task_id, requirement_id)))
                continue
            if requirement_id not in light:
                light[requirement_id] = self._next_light_host(self.demands[requirement_id])
            host = light[requirement_id]
            if host is not None:
                self._reserve(host, task_id, requirement_id)
            placed.append((task_id, host))
        return placed

    def _next_light_host(self, demand: Demand) -> HostSlot | None:
        self._light_turn += 1
        hosts = list(self.hosts.values())
        turn = self._light_turn % max(1, len(hosts))
        in_turn = (*hosts[turn:], *hosts[:turn])
        return next((host for host in in_turn if host.obstacle(demand) is Obstacle.NONE), None)

    def _reserve(self, host: HostSlot, task_id: int, requirement_id: int) -> None:
        host.take(task_id, self.demands[requirement_id])
        self._placed[task_id] = (host.host_id, requirement_id)
        self.changes += 1

    def release(self, task_id: int) -> None:
        """The task is on no host any more; who waits for room is looked at again."""
        found = self._placed.pop(task_id, None)
        if found is None:
            return
        host = self.hosts.get(found[0])
        if host is not None:
            host.release(task_id, self.demands[found[1]])
        self.changes += 1

    def shun(self, task_id: int, host_id: int) -> None:
        """Do not offer the task to that host again (it refused)."""
        self._shunned.setdefault(task_id, set()).add(host_id)

    def forgive(self) -> None:
        """Forget who refused what, so that a refusal does not last for ever."""
        self._shunned.clear()

    def rebuild(self, hosts: Iterable[HostSlot], placed: Iterable[tuple[int, int, int]]) -> None:
        """Start again from the database: hosts, and (task, host, requirement) of all that is on one."""
        self.hosts = {host.host_id: host for host in hosts}
        self._placed = {}
        for task_id, host_id, requirement_id in placed:
            host = self.hosts.get(host_id)
            if host is not None and requirement_id in self.demands:
                self._reserve(host, task_id, requirement_id)
        self.changes += 1

    def refresh_hosts(self, hosts: Iterable[HostSlot]) -> None:
        """Take over what hosts are and have, and keep the ledger of what is on them."""
        for fresh in hosts:
            known = self.hosts.get(fresh.host_id)
            if known is not None:
                fresh.tasks = known.tasks
                fresh.used_cpu, fresh.used_memory_bytes = known.used_cpu, known.used_memory_bytes
                fresh.used_disk_bytes = known.used_disk_bytes
            self.hosts[fresh.host_id] = fresh
        self.look_at_all()

    def look_at_all(self) -> None:
        """Tasks of any class may be FREE: let the scheduler see which."""
        self.waiting.update(self.demands)

    def can_place(self, requirement_id: int) -> bool:
        """Whether any host has room for a task of that kind now."""
        demand = self.demands[requirement_id]
        return any(host.obstacle(demand) is Obstacle.NONE for host in self.hosts.values())


@dataclass(slots=True)
class Leadership:
    """Whether this replica schedules, and the epoch that fences what it writes."""

    holder: str
    epoch: int | None = None

    @property
    def held(self) -> bool:
        return self.epoch is not None
