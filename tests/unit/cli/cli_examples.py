"""Builds and tasks for tests, with only what matters to a test given."""

from datetime import UTC, datetime
from typing import Any

from deborch_shared.contract.builds import BuildDetail, Task, TaskSummary
from deborch_shared.contract.states import BuildState, TaskKind, TaskState

AT = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def make_task(task_id: int = 2, **given: Any) -> TaskSummary:
    usual = {
        "id": task_id, "build_id": 1, "kind": TaskKind.BUILD_PACKAGE, "architecture": "amd64", "state": TaskState.FREE,
        "attempt": 0, "host": None, "blocked_reason": None, "failure_class": None, "message": "", "created_at": AT,
        "assigned_at": None, "started_at": None, "ended_at": None, "label": "hello 2.10-3 amd64",
    }  # fmt: skip
    return TaskSummary(**{**usual, **given})


def make_build(*tasks: TaskSummary, **given: Any) -> BuildDetail:
    usual = {
        "id": 1, "target": "bookworm", "source": "hello", "version": "2.10-3", "state": BuildState.BUILDING,
        "scratch": False, "owner": "key:1", "priority": 0, "message": "", "created_at": AT, "ended_at": None,
        "tasks": list(tasks), "source_files": [],
    }  # fmt: skip
    return BuildDetail(**{**usual, **given})


def make_whole_task(task: TaskSummary) -> Task:
    more = {
        "priority": 0, "max_attempts": 3, "required_tags": (), "cpu": 1, "memory_bytes": 0, "disk_bytes": 0,
        "missing": (), "lease_until": None, "attempts": [],
    }  # fmt: skip
    return Task(**{**task.model_dump(), **more})
