"""Whether a host can take a task, and if not, what stands in the way. The one place that knows."""

from dataclasses import dataclass, field
from enum import StrEnum

from deborch_shared.contract.states import HostState


class Obstacle(StrEnum):
    """Why a host does not take a task; the order is the order in which they are looked at."""

    NONE = "none"
    STATE = "state"
    LOST = "lost"
    UNREADY = "unready"
    ARCHITECTURE = "architecture"
    TAGS = "tags"
    TOO_SMALL = "too-small"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a task asks of a host. `architecture` empty: any."""

    architecture: str = ""
    required_tags: frozenset[str] = frozenset()
    cpu: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    @property
    def is_weightless(self) -> bool:
        """Takes no counted resource, so that any number fits on a host."""
        return self.cpu == 0 and self.memory_bytes == 0 and self.disk_bytes == 0


@dataclass(slots=True)
class HostSlot:
    """A host as the scheduler sees it: what it has, what is taken."""

    host_id: int
    name: str
    state: HostState
    online: bool
    architectures: frozenset[str]
    tags: frozenset[str]
    cpu: int
    memory_bytes: int
    disk_bytes: int
    unready: str = ""
    """Why the builder can build nothing now; tasks that take no resources are not builds."""
    used_cpu: int = 0
    used_memory_bytes: int = 0
    used_disk_bytes: int = 0
    tasks: set[int] = field(default_factory=set)

    def obstacle(self, demand: Demand) -> Obstacle:
        """The first thing that keeps `demand` from this host now."""
        if self.state is not HostState.ENABLED:
            return Obstacle.STATE
        if not self.online:
            return Obstacle.LOST
        if self.unready and not demand.is_weightless:
            return Obstacle.UNREADY
        if demand.architecture and demand.architecture not in self.architectures:
            return Obstacle.ARCHITECTURE
        if not demand.required_tags <= self.tags:
            return Obstacle.TAGS
        if demand.cpu > self.cpu or demand.memory_bytes > self.memory_bytes or demand.disk_bytes > self.disk_bytes:
            return Obstacle.TOO_SMALL
        if (
            self.used_cpu + demand.cpu > self.cpu
            or self.used_memory_bytes + demand.memory_bytes > self.memory_bytes
            or self.used_disk_bytes + demand.disk_bytes > self.disk_bytes
        ):
            return Obstacle.BUSY
        return Obstacle.NONE

    def take(self, task_id: int, demand: Demand) -> None:
        """Count `task_id` in; the caller has seen that it fits."""
        self.tasks.add(task_id)
        self._add(demand, 1)

    def release(self, task_id: int, demand: Demand) -> None:
        """Count `task_id` out; nothing if it is not there."""
        if task_id in self.tasks:
            self.tasks.remove(task_id)
            self._add(demand, -1)

    def _add(self, demand: Demand, sign: int) -> None:
        self.used_cpu += sign * demand.cpu
        self.used_memory_bytes += sign * demand.memory_bytes
        self.used_disk_bytes += sign * demand.disk_bytes

    @property
    def load(self) -> float:
        """How full it is, 0 to 1, by its fullest resource."""
        shares = (
            self.used_cpu / self.cpu if self.cpu else 0.0,
            self.used_memory_bytes / self.memory_bytes if self.memory_bytes else 0.0,
            self.used_disk_bytes / self.disk_bytes if self.disk_bytes else 0.0,
        )
        return max(shares)
