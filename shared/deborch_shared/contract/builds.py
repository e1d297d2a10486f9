"""Builds, their tasks and their artifacts."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from deborch_shared.contract.base import (
    Architecture,
    Input,
    Name,
    Output,
    PackageName,
    PageQuery,
    Priority,
    Sha256Hex,
    StoredFile,
    Tag,
    VersionText,
)
from deborch_shared.contract.states import BlockedReason, BuildState, TaskKind, TaskState


class UploadedFile(Input):
    """A file that is in the blob store already."""

    name: str = Field(min_length=1, max_length=255)
    sha256: Sha256Hex
    size_bytes: int = Field(ge=0)


class SuiteSource(Input):
    """A source package to fetch from the target's Debian suite; no version: the newest there."""

    name: PackageName
    version: VersionText | None = None


class BuildCreate(Input):
    """Exactly one of `dsc` (with `files`, all uploaded before) and `suite_source`."""

    target: Name
    dsc: UploadedFile | None = None
    files: tuple[UploadedFile, ...] = Field((), max_length=200)
    suite_source: SuiteSource | None = None
    architectures: tuple[Architecture, ...] = ()
    """Of the target's, which to build for; empty: all."""
    scratch: bool = False
    """Build, keep the results for a while, publish nothing."""
    priority: Priority = 0
    after_builds: tuple[int, ...] = Field((), max_length=100)
    """Builds whose packages must be published before this one starts."""
    required_tags: tuple[Tag, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dsc is None) == (self.suite_source is None):
            raise ValueError("give exactly one of dsc and suite_source")
        if self.dsc is None and self.files:
            raise ValueError("files go with dsc")
        return self


class TaskProgress(Output):
    """What a running attempt has used in its stage, as its host's last heartbeat said; 0: it does not count it."""

    stage_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    log_bytes: int = 0


class TaskSummary(Output):
    id: int
    build_id: int | None
    kind: TaskKind
    architecture: str
    state: TaskState
    attempt: int
    host: str | None
    blocked_reason: BlockedReason | None
    failure_class: str | None
    message: str
    created_at: datetime
    assigned_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    """Of the attempt that is under way or was the last."""
    label: str = ""
    """What it is for people: `hello 2.10-3 amd64`."""
    stage: str = ""
    """What a running task does, as its host's last heartbeat said: `download`, `dependencies`, `build`."""
    progress: TaskProgress | None = None


class AttemptSummary(Output):
    attempt: int
    host: str
    assigned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    failure_class: str | None
    message: str
    stages: list[dict[str, Any]]


class Task(TaskSummary):
    priority: int
    max_attempts: int
    required_tags: tuple[str, ...]
    cpu: int
    memory_bytes: int
    disk_bytes: int
    missing: tuple[str, ...]
    lease_until: datetime | None
    attempts: list[AttemptSummary]
    expected_s: float | None = None
    """How long an attempt takes, by earlier builds of the same source package; None: there is none to go by."""
    expected_end_at: datetime | None = None
    """When the attempt that runs will have ended, if it takes as long as that."""


class Build(Output):
    id: int
    target: str
    source: str
    version: str | None
    state: BuildState
    scratch: bool
    owner: str
    priority: int
    message: str
    created_at: datetime
    ended_at: datetime | None


class BuildEstimate(Output):
    """What a build of this source package takes on one architecture, by what the last `builds` of it took."""

    architecture: str
    builds: int
    wall_s: float
    cpu_s: float
    memory_peak_bytes: int | None
    disk_bytes: int | None


class BuildDetail(Build):
    tasks: list[TaskSummary]
    estimates: list[BuildEstimate] = []
    source_files: list[StoredFile]
    after_builds: tuple[int, ...] = ()


class Artifact(Output):
    """A result of a task: `kind` is one of deb, udeb, ddeb, changes, buildinfo, dsc, source, log."""

    id: int
    build_id: int | None
    task_id: int
    name: str
    kind: str
    sha256: str
    size_bytes: int


class TaskCreate(Input):
    """A no-op task: goes through the whole life cycle and does nothing, to try a host or the path to it."""

    kind: TaskKind = TaskKind.NOOP
    architecture: Architecture | None = None
    required_tags: tuple[Tag, ...] = ()
    cpu: int = Field(0, ge=0, le=1024)
    memory_bytes: int = Field(0, ge=0)
    disk_bytes: int = Field(0, ge=0)
    priority: Priority = 0
    duration_s: float = Field(0.0, ge=0, le=3600)


class TaskRef(Output):
    id: int
    state: TaskState


class BuildQuery(PageQuery):
    target: str | None = None
    state: BuildState | None = None
    source: str | None = None
    owner: str | None = None


class TaskQuery(PageQuery):
    build_id: int | None = None
    state: TaskState | None = None
    host: str | None = None


class ArtifactQuery(PageQuery):
    build_id: int | None = None
    task_id: int | None = None


class GiveBack(Input):
    """Try a failed or canceled build (its unsuccessful tasks) again."""

    architectures: tuple[Architecture, ...] = ()


class HostVerdict(Output):
    """Why one host does not take the task now; `obstacle` is `none` for a host that would."""

    host: str
    obstacle: str
    """One of none, state, architecture, tags, too-small, busy, lost."""
    detail: str


class Why(Output):
    """Why a task is not running: one sentence, the facts behind it, and what to do."""

    task_id: int
    state: TaskState
    summary: str
    hint: str
    blocked_reason: BlockedReason | None = None
    waits_for_tasks: list[int] = []
    waits_for_builds: list[int] = []
    missing: list[str] = []
    tasks_ahead: int = 0
    hosts_that_would_do: int = 0
    hosts: list[HostVerdict] = []
