"""Which assignments this host takes, and why not the others."""

from collections.abc import Iterable
from dataclasses import dataclass

from deborch_builder.kinds import KINDS
from deborch_shared.errors import bounded
from deborch_shared.events.model import AssignTask, Resources

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Offer:
    """What this host has registered with."""

    host: str
    architectures: frozenset[str]
    resources: Resources

    def refusal(self, task: AssignTask, in_use: Iterable[Resources], problem: str | None) -> str | None:
        """Why `task` cannot be done beside what is `in_use`; None if it can. `problem`: why nothing can be built."""
        kind = KINDS.get(task.kind)
        if kind is None:
            return f"tasks of kind {bounded(task.kind, 60)!r} are not known here: upgrade the builder"
        if task.architecture and task.architecture not in self.architectures:
            return f"it is for {task.architecture}, this host has {', '.join(sorted(self.architectures))}"
        if kind.needs_engine and problem:
            return f"no package can be built here: {problem}"
        if strange := kind.not_understood(task.payload):
            return f"its order is not understood here ({strange}): upgrade hub and builder to one version"
        return self._shortage(task.resources, in_use)

    def _shortage(self, asked: Resources, in_use: Iterable[Resources]) -> str | None:
        if not (asked.cpu or asked.memory_bytes or asked.disk_bytes):
            return None
        taken = list(in_use)
        free_cpu = self.resources.cpu - sum(one.cpu for one in taken)
        free_memory = self.resources.memory_bytes - sum(one.memory_bytes for one in taken)
        free_disk = self.resources.disk_bytes - sum(one.disk_bytes for one in taken)
        if asked.cpu > free_cpu:
            return f"it needs {asked.cpu} processors, {free_cpu} are free"
        if asked.memory_bytes > free_memory:
            return f"it needs {_gib(asked.memory_bytes)} of memory, {_gib(free_memory)} are free"
        if asked.disk_bytes > free_disk:
            return f"it needs {_gib(asked.disk_bytes)} of disk, {_gib(free_disk)} are free"
        return None


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB"
