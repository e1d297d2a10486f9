"""The vocabulary: every event and command that crosses the broker.

A model is never changed once released: a new shape is a new VERSION in a class of its own, both registered.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_registry: dict[tuple[str, int], type["EventData"]] = {}

FailureClass = Literal[
    "dep-wait", "chroot-fault", "fetch-fault", "compile", "test", "install", "timeout", "log-idle", "log-limit",
    "policy", "killed", "killed-oom", "killed-limit",
    "refused", "host-lost", "internal",
]  # fmt: skip
"""Why an attempt did not succeed. `dep-wait` blocks the task, the faults and `host-lost` give it back."""

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


SaidText = Annotated[str, AfterValidator(_without_nul)]
"""What programs said. It may hold anything, and PostgreSQL's text holds no NUL."""


class EventData(BaseModel):
    """Base of all event data: frozen, and no field that the model does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        super().__pydantic_init_subclass__(**kwargs)
        if "TYPE" in cls.__dict__:
            _registry[cls.TYPE, cls.VERSION] = cls


class Resources(EventData):
    """What a task needs or a host has: whole processors, bytes of memory, bytes of disk."""

    cpu: int = Field(0, ge=0)
    memory_bytes: int = Field(0, ge=0)
    disk_bytes: int = Field(0, ge=0)


class File(EventData):
    """One stored file of a source package or a result."""

    name: str = Field(min_length=1, max_length=255)
    sha256: Sha256Hex
    size_bytes: int = Field(ge=0)


# --- events of the hub -------------------------------------------------------------------------------------------


class TaskEvent(EventData):
    """What all events on one task carry."""

    task_id: int
    attempt: int = 0
    build_id: int | None = None
    kind: str = ""


class TaskCreated(TaskEvent):
    TYPE: ClassVar[str] = "task.created"
    architecture: str = ""
    state: str = "free"


class TaskAssigned(TaskEvent):
    TYPE: ClassVar[str] = "task.assigned"
    host: str


class TaskFreed(TaskEvent):
    """The task is FREE again or for the first time: unblocked, refused, lease expired, given back."""

    TYPE: ClassVar[str] = "task.freed"
    reason: str = ""


class TaskBlocked(TaskEvent):
    TYPE: ClassVar[str] = "task.blocked"
    reason: str
    missing: tuple[str, ...] = ()


class TaskRunning(TaskEvent):
    """The hub has taken note that the host works on it."""

    TYPE: ClassVar[str] = "task.running"
    host: str


class TaskProgress(TaskEvent):
    """What a running attempt does and uses now: told when it enters a stage, and every half minute while it stays."""

    TYPE: ClassVar[str] = "task.progress"
    host: str
    stage: str
    stage_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    log_bytes: int = 0


class TaskCompleted(TaskEvent):
    TYPE: ClassVar[str] = "task.completed"


class TaskFailed(TaskEvent):
    TYPE: ClassVar[str] = "task.failed"
    failure_class: str
    message: str = ""


class TaskCanceled(TaskEvent):
    TYPE: ClassVar[str] = "task.canceled"


class BuildEvent(EventData):
    """What all events on one build carry."""

    build_id: int
    target: str
    source: str
    version: str = ""


class BuildRequested(BuildEvent):
    TYPE: ClassVar[str] = "build.requested"
    owner: str = ""


class BuildCompleted(BuildEvent):
    """Every task is done and, unless it was a scratch build, the archive that has its packages is published."""

    TYPE: ClassVar[str] = "build.completed"


class BuildFailed(BuildEvent):
    TYPE: ClassVar[str] = "build.failed"
    message: str = ""


class BuildCanceled(BuildEvent):
    TYPE: ClassVar[str] = "build.canceled"


class HostRegistered(EventData):
    TYPE: ClassVar[str] = "host.registered"
    host: str
    architectures: tuple[str, ...]
    tags: tuple[str, ...] = ()
    resources: Resources = Resources()


class HostLost(EventData):
    TYPE: ClassVar[str] = "host.lost"
    host: str
    last_heartbeat_at: datetime | None = None


class HostChanged(EventData):
    """Enabled, disabled or draining, by whom."""

    TYPE: ClassVar[str] = "host.changed"
    host: str
    state: str
    by: str = ""


class ArchivePublished(EventData):
    TYPE: ClassVar[str] = "archive.published"
    target: str
    generation: int
    snapshot: str
    packages: int


class AuditRecorded(EventData):
    """An act of a person or a machine on rights: who did what to which object."""

    TYPE: ClassVar[str] = "audit.recorded"
    actor: str
    action: str
    object: str
    outcome: Literal["allowed", "denied"] = "allowed"


# --- reports of a builder ----------------------------------------------------------------------------------------


class TaskStarted(EventData):
    """The builder has taken the assignment and begun."""

    TYPE: ClassVar[str] = "task.started"
    task_id: int
    attempt: int
    host: str


class TaskRefused(EventData):
    """The builder cannot take the assignment; the hub gives it to another."""

    TYPE: ClassVar[str] = "task.refused"
    task_id: int
    attempt: int
    host: str
    reason: SaidText


class Stage(EventData):
    """How long one stage of a build took, and what it used at its highest. None: the host does not count it."""

    name: str
    wall_s: float = Field(ge=0)
    cpu_s: float = Field(0.0, ge=0)
    memory_peak_bytes: int | None = Field(None, ge=0, lt=2**63)
    disk_bytes: int | None = Field(None, ge=0, lt=2**63)


class BuildDone(EventData):
    """A report on one attempt: succeeded with artifacts that are uploaded already, or failed with a class."""

    TYPE: ClassVar[str] = "build.done"
    task_id: int
    attempt: int
    host: str
    succeeded: bool
    failure_class: FailureClass | None = None
    message: SaidText = Field("", max_length=8_000)
    missing: tuple[SaidText, ...] = ()
    artifacts: tuple[File, ...] = ()
    stages: tuple[Stage, ...] = ()


class Progress(EventData):
    """What an attempt used up to now: processor time and memory in the stage that it is in, 0 if not counted."""

    stage_s: float = Field(0.0, ge=0)
    cpu_s: float = Field(0.0, ge=0)
    memory_bytes: int = Field(0, ge=0, lt=2**63)
    log_bytes: int = Field(0, ge=0, lt=2**63)


class RunningTask(EventData):
    task_id: int
    attempt: int
    stage: SaidText = Field("", max_length=80)
    progress: Progress | None = None


class HostHeartbeat(EventData):
    """Transient: the host lives, how loaded it is, and which leases it renews."""

    TYPE: ClassVar[str] = "host.heartbeat"
    host: str
    load_1m: float = 0.0
    memory_available_bytes: int = 0
    disk_available_bytes: int = 0
    draining: bool = False
    running: tuple[RunningTask, ...] = ()
    obstacle: SaidText = Field("", max_length=500)
    """Why no package can be built there now; empty if one can."""


# --- commands to one host ----------------------------------------------------------------------------------------


class AssignTask(EventData):
    """Do this. `payload` is read by the kind of task: see `deborch_shared.contract.payloads`."""

    TYPE: ClassVar[str] = "task.assign"
    task_id: int
    attempt: int
    kind: str
    build_id: int | None = None
    architecture: str = ""
    lease_s: float
    resources: Resources = Resources()
    payload: dict[str, Any] = {}


class PrepareEnvironment(EventData):
    """Builds of this suite wait: have its base ready when one comes. A wish, done when nothing else is to do."""

    TYPE: ClassVar[str] = "host.prepare"
    suite: str
    components: tuple[str, ...]
    architecture: str


class CancelTask(EventData):
    """Stop this attempt and forget it."""

    TYPE: ClassVar[str] = "task.cancel"
    task_id: int
    attempt: int


EVENT_MODELS: Mapping[tuple[str, int], type[EventData]] = MappingProxyType(_registry)
"""(type, version) -> model. What is not in here goes to the dead letters."""
