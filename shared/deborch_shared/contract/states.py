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


class ComposeState(StrEnum):
    REQUESTED = "requested"
    """Waits for a composer."""
    RUNNING = "running"
    FINISHED = "finished"
    FINISHED_INCOMPLETE = "finished_incomplete"
    """An output that it may do without is missing."""
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self not in {ComposeState.REQUESTED, ComposeState.RUNNING}

    @property
    def is_finished(self) -> bool:
        """There are outputs, which may be promoted."""
        return self in {ComposeState.FINISHED, ComposeState.FINISHED_INCOMPLETE}


class PhaseState(StrEnum):
    """Where a phase of a compose is, as the engine has it."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
