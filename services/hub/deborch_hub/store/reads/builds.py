"""Builds and their artifacts."""

from statistics import median

import asyncpg

from deborch_hub.domain.estimates import expected_s
from deborch_hub.store.queries import SQL
from deborch_hub.store.reads.measurements import measurements_of
from deborch_hub.store.reads.tasks import tasks_of_build
from deborch_shared.contract.base import StoredFile
from deborch_shared.contract.builds import Artifact, ArtifactQuery, Build, BuildDetail, BuildEstimate, BuildQuery
from deborch_shared.contract.states import BuildState, TaskKind
from deborch_shared.db import Connection, Database
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import BuildId, Sha256


async def list_builds(database: Database, wanted: BuildQuery, *, limit: int, before: int | None) -> list[Build]:
    """The newest builds that `wanted` asks for, below id `before`."""
    rows = await database.fetch(
        SQL[_leading_query(wanted)], before, limit, wanted.target, wanted.state, wanted.source, wanted.owner
    )
    return [Build.model_validate(dict(row)) for row in rows]


def _leading_query(wanted: BuildQuery) -> str:
    """The filter that leaves the fewest rows leads."""
    if wanted.source is not None:
        return "read_builds_of_source"
    if wanted.state is not None and not wanted.state.is_terminal:
        return "read_builds_in_state"
    if wanted.owner is not None:
        return "read_builds_of_owner"
    if wanted.target is not None:
        return "read_builds_of_target"
    return "read_builds" if wanted.state is None else "read_builds_in_state"


async def get_build(database: Database, build_id: BuildId) -> BuildDetail:
    """One build with its tasks and source files.

    Raises:
        DeborchError: NOT_FOUND.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL["read_build"], build_id)
        if row is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND, f"there is no build {build_id}", hint="`deborch build list` shows them"
            )
        files = await connection.fetch(SQL["read_source_files"], row["source_version_id"])
        after = await connection.fetch(SQL["read_builds_waited_for"], build_id)
        tasks = await tasks_of_build(connection, build_id)
        estimates = [
            estimate
            for architecture in dict.fromkeys(
                task.architecture for task in tasks if task.kind is TaskKind.BUILD_PACKAGE
            )
            if (estimate := await _estimate(connection, row["source"], architecture)) is not None
        ]
    return BuildDetail.model_validate(
        {
            **row,
            "tasks": tasks,
            "estimates": estimates,
            "source_files": [
                StoredFile(name=file["name"], sha256=file["sha256"].hex(), size_bytes=file["size_bytes"])
                for file in files
            ],
            "after_builds": tuple(other["id"] for other in after),
        }
    )


async def _estimate(connection: Connection, source: str, architecture: str) -> BuildEstimate | None:
    measured = await measurements_of(connection, source, architecture)
    wall_s = expected_s(measured)
    if wall_s is None:
        return None
    memory = [one.memory_peak_bytes for one in measured if one.memory_peak_bytes is not None]
    disk = [one.disk_bytes for one in measured if one.disk_bytes is not None]
    return BuildEstimate(
        architecture=architecture,
        builds=len(measured),
        wall_s=wall_s,
        cpu_s=median(one.cpu_s for one in measured),
        memory_peak_bytes=max(memory, default=None),
        disk_bytes=max(disk, default=None),
    )


async def builds_waited_for(database: Database, build_id: BuildId) -> dict[int, BuildState]:
    """The unfinished builds that this one comes after, and their states; a failed one is unfinished."""
    rows = await database.fetch(SQL["read_builds_waited_for"], build_id)
    states = {row["id"]: BuildState(row["state"]) for row in rows}
    return {other: state for other, state in states.items() if state is not BuildState.COMPLETED}


async def list_artifacts(
    database: Database, wanted: ArtifactQuery, *, limit: int, before: int | None
) -> list[Artifact]:
    """The newest artifacts that `wanted` asks for, below id `before`."""
    if wanted.build_id is not None:
        rows = await database.fetch(SQL["read_artifacts_of_build"], before, limit, wanted.build_id, wanted.task_id)
    elif wanted.task_id is not None:
        rows = await database.fetch(SQL["read_artifacts_of_task"], before, limit, wanted.task_id)
    else:
        rows = await database.fetch(SQL["read_artifacts"], before, limit)
    return [_artifact(row) for row in rows]


async def get_artifact(database: Database, artifact_id: int) -> Artifact:
    """One artifact.

    Raises:
        DeborchError: NOT_FOUND.
    """
    row = await database.fetchrow(SQL["read_artifact"], artifact_id)
    if row is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no artifact {artifact_id}")
    return _artifact(row)


async def recorded_blob_size(database: Database, sha256: Sha256) -> int | None:
    """The size of a blob that the hub has taken note of; None if it has not."""
    size = await database.fetchval(SQL["read_blob"], bytes.fromhex(sha256))
    return None if size is None else int(size)


def _artifact(row: asyncpg.Record) -> Artifact:
    return Artifact.model_validate({**row, "sha256": row["sha256"].hex()})
