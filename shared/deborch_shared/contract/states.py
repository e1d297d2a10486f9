"""The states that a person sees. What may follow what is the hub's own table."""

from enum import StrEnum


class TaskState(StrEnum):
    BLOCKED = "blocked"
    FREE = "free"
    ASSIGNED = "assigned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED}


class BlockedReason(StrEnum):
    """What a BLOCKED task waits for."""

    TASKS = "tasks"
    BUILD_DEPENDENCIES = "build-dependencies"
    ARCHIVE = "archive"
    PERSON = "person"


class BuildState(StrEnum):
    BUILDING = "building"
    PUBLISHING = "publishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in {BuildState.COMPLETED, BuildState.FAILED, BuildState.CANCELED}


class HostState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"
    DRAINING = "draining"


class TaskKind(StrEnum):
    FETCH_SOURCE = "fetch-source"
    BUILD_PACKAGE = "build-package"
    NOOP = "noop"
