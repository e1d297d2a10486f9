"""Tasks, their attempts, and what is known of why one waits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from deborch_hub.domain.estimates import expected_s
from deborch_hub.domain.matching import Demand
from deborch_hub.store.queries import SQL
from deborch_hub.store.reads.measurements import measurements_of
from deborch_shared.contract.builds import AttemptSummary, Task, TaskQuery, TaskSummary
from deborch_shared.contract.states import TaskKind, TaskState
from deborch_shared.db import Connection, Database
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Attempt, BuildId, TaskId


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of a task; `attempt` and `host` are None if the task has none such."""

    task_state: TaskState
    last_attempt: Attempt
    attempt: Attempt | None
    host: str | None
    ended_at: datetime | None


async def list_tasks(database: Database, wanted: TaskQuery, *, limit: int, before: int | None) -> list[TaskSummary]:
    """The newest tasks that `wanted` asks for, below id `before`."""
    state, host = wanted.state, wanted.host
    if wanted.build_id is not None:
        rows = await database.fetch(SQL["read_tasks_of_build"], before, limit, state, wanted.build_id, host)
    elif state in {TaskState.FAILED, TaskState.CANCELED}:
        rows = await database.fetch(SQL["read_unsuccessful_tasks"], before, limit, state, host)
    elif host is not None:
        on_it_now = state in {TaskState.ASSIGNED, TaskState.RUNNING}
        query = "read_active_tasks_on_host" if on_it_now else "read_tasks_of_host"
        rows = await database.fetch(SQL[query], before, limit, state, host)
    elif state is not None and not state.is_terminal:
        rows = await database.fetch(SQL["read_active_tasks"], before, limit, state)
    else:
        rows = await database.fetch(SQL["read_tasks"], before, limit, state)
    return [_summary(row) for row in rows]


async def tasks_of_build(connection: Connection, build_id: BuildId) -> list[TaskSummary]:
    """All tasks of one build, in the order in which they were made."""
    rows = await connection.fetch(SQL["read_tasks_of_build"], None, None, None, build_id, None)
    return [_summary(row) for row in reversed(rows)]


async def get_task(database: Database, task_id: TaskId) -> Task:
    """One task with all its attempts.

    Raises:
        DeborchError: NOT_FOUND.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL["read_task"], task_id)
        if row is None:
            raise no_task(task_id)
        attempts = await connection.fetch(SQL["read_attempts"], task_id)
        expected = await _expected_s(connection, row)
    running = row["state"] == TaskState.RUNNING.value and row["started_at"] is not None
    return Task.model_validate(
        {
            **row,
            "attempts": [AttemptSummary.model_validate(dict(attempt)) for attempt in attempts],
            "expected_s": expected,
            "expected_end_at": row["started_at"] + timedelta(seconds=expected) if running and expected else None,
        }
    )


async def _expected_s(connection: Connection, task: asyncpg.Record) -> float | None:
    if task["kind"] != TaskKind.BUILD_PACKAGE.value:
        return None
    source = await connection.fetchval(SQL["source_of_build"], task["build_id"])
    return expected_s(await measurements_of(connection, source, task["architecture"]))


async def get_demand(database: Database, task_id: TaskId) -> tuple[Demand, int]:
    """What a task asks of a host, and the id of the class of tasks that ask for the same."""
    row = await database.fetchrow(SQL["read_task"], task_id)
    if row is None:
        raise no_task(task_id)
    demand = Demand(
        row["needed_architecture"],
        frozenset(row["required_tags"]),
        row["cpu"],
        row["memory_bytes"],
        row["disk_bytes"],
    )
    return demand, row["requirement_id"]


async def get_attempt(database: Database, task_id: TaskId, attempt: Attempt | None) -> AttemptRecord:
    """That attempt, or the last.

    Raises:
        DeborchError: NOT_FOUND if there is no such task.
    """
    row = await database.fetchrow(SQL["read_attempt"], task_id, attempt)
    if row is None:
        raise no_task(task_id)
    return AttemptRecord(
        TaskState(row["state"]), Attempt(row["last_attempt"]), row["attempt"], row["host"], row["ended_at"]
    )


async def unfinished_needs(database: Database, task_id: TaskId) -> dict[int, TaskState]:
    """The tasks that this one waits for, and their states."""
    rows = await database.fetch(SQL["read_unfinished_needs"], task_id)
    return {row["id"]: TaskState(row["state"]) for row in rows}


async def tasks_ahead(database: Database, task_id: TaskId, requirement_id: int, priority: int) -> int:
    """How many FREE tasks that ask for the same go first."""
    return int(await database.fetchval(SQL["read_tasks_ahead"], task_id, requirement_id, priority))


def no_task(task_id: TaskId) -> DeborchError:
    return DeborchError(ErrorCode.NOT_FOUND, f"there is no task {task_id}", hint="`deborch task list` shows them")


def _summary(row: asyncpg.Record) -> TaskSummary:
    return TaskSummary.model_validate(dict(row))
