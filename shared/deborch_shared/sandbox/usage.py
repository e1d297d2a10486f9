"""What commands in a sandbox use of the machine, between two moments."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from deborch_shared.sandbox.cgroups.counters import Counters
from deborch_shared.sandbox.cgroups.group import ControlGroup

_NUMBER_BYTES = 32
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """Of all commands that ran in the sandbox meanwhile. None: this host does not count it."""

    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    memory_bytes: int | None = None
    """At the end, with the files that are in tmpfs and what is cached of others."""
    memory_peak_bytes: int | None = None
    """The same at its highest. Before Linux 6.12 with cgroup v2: since the sandbox was opened."""
    read_bytes: int | None = None
    """From disks, past what was cached."""
    written_bytes: int | None = None
    """To disks. Without the io controller of cgroup v2 both are known once a command has ended (getrusage(2))."""
    pids: int | None = None
    """Processes and threads at the end."""
    pids_peak: int | None = None
    """Since the sandbox was opened."""
    disk_bytes: int | None = None
    """Of workspace and changes at the end; None where they are on a disk and nobody has looked."""
    oom_kills: int = 0
    """Processes that the kernel ended because the memory limit was reached."""
    forks_refused: int = 0
    """Times that a process could not start because of the limit on them."""

    @property
    def cpu_s(self) -> float | None:
        if self.cpu_user_s is None or self.cpu_system_s is None:
            return None
        return self.cpu_user_s + self.cpu_system_s

    def then(self, later: "ResourceUse") -> "ResourceUse":
        """Of this and `later` together: sums, peaks, and the state at the later end."""
        return ResourceUse(
            _sum(self.cpu_user_s, later.cpu_user_s),
            _sum(self.cpu_system_s, later.cpu_system_s),
            later.memory_bytes,
            _peak(self.memory_peak_bytes, later.memory_peak_bytes),
            _sum(self.read_bytes, later.read_bytes),
            _sum(self.written_bytes, later.written_bytes),
            later.pids,
            _peak(self.pids_peak, later.pids_peak),
            _peak(self.disk_bytes, later.disk_bytes),
            self.oom_kills + later.oom_kills,
            self.forks_refused + later.forks_refused,
        )


class Meter:
    """Counts from its making on. A context manager, because it may hold a descriptor."""

    def __init__(
        self, group: ControlGroup, disk_bytes: Callable[[], int | None], moved_bytes: Callable[[], tuple[int, int]]
    ) -> None:
        """`moved_bytes`: what commands that have ended read from disks and wrote to them."""
        self._group = group
        self._disk_bytes = disk_bytes
        self._moved_bytes = moved_bytes
        self._moved_before = moved_bytes()
        self._peak = group.reset_peak()
        self._before = group.counters()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None

    def read(self) -> ResourceUse:
        """The use so far."""
        before, now = self._before, self._group.counters()
        read, written = self._moved_bytes()
        if now.read_bytes is not None and now.written_bytes is not None:
            read, written = now.read_bytes - (before.read_bytes or 0), now.written_bytes - (before.written_bytes or 0)
        else:
            read, written = read - self._moved_before[0], written - self._moved_before[1]
        return ResourceUse(
            _difference(now.cpu_user_s, before.cpu_user_s),
            _difference(now.cpu_system_s, before.cpu_system_s),
            now.memory_bytes,
            self._peak_bytes(now),
            read,
            written,
            now.pids,
            now.pids_peak,
            self._disk_bytes(),
            now.oom_kills - before.oom_kills,
            now.forks_refused - before.forks_refused,
        )

    def _peak_bytes(self, now: Counters) -> int | None:
        if self._peak is not None:
            with suppress(OSError, ValueError):
                return int(os.pread(self._peak, _NUMBER_BYTES, 0))
        return now.memory_peak_bytes


def _sum(one: Number | None, other: Number | None) -> Number | None:
    return one if other is None else other if one is None else one + other


def _peak(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else max(one, other)


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
