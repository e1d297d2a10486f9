"""How a build goes on when one of its tasks has ended: its results kept, its next tasks made, its packages archived."""

from collections.abc import Sequence

import asyncpg

from deborch_hub.domain.artifacts import kind_of
from deborch_hub.domain.planning import plan_builds
from deborch_hub.domain.transitions import BUILD_EVENTS
from deborch_hub.handlers.builds import add_build_tasks, build_demands, refuse_known_version
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.ending import locked_build
from deborch_hub.handlers.sources import read_source, require_blobs, require_signature, store_source
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.contract.builds import UploadedFile
from deborch_shared.contract.states import BuildState, TaskKind, TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import File, Stage
from deborch_shared.sources import check_file_name


async def keep_artifacts(context: Context, work: Work, task: asyncpg.Record, files: Sequence[File]) -> None:
    """Record the results of an attempt; all of them must be in the blob store."""
    for file in files:
        check_file_name(file.name, "the report")
    await require_blobs(context, [UploadedFile(**file.model_dump()) for file in files])
    for file in files:
        await work.connection.execute(
            SQL["insert_artifact"],
            task["id"],
            task["build_id"],
            file.name,
            kind_of(file.name),
            bytes.fromhex(file.sha256),
            file.size_bytes,
        )


async def keep_measurement(work: Work, task: asyncpg.Record, stages: Sequence[Stage]) -> None:
    """Record what a successful build used, for the next one of the same source package."""
    if task["kind"] != TaskKind.BUILD_PACKAGE.value or not stages:
        return
    memory = [stage.memory_peak_bytes for stage in stages if stage.memory_peak_bytes is not None]
    disk = [stage.disk_bytes for stage in stages if stage.disk_bytes is not None]
    await work.connection.execute(
        SQL["insert_measurement"],
        task["id"],
        task["build_id"],
        task["architecture"],
        sum(stage.wall_s for stage in stages),
        sum(stage.cpu_s for stage in stages),
        max(memory, default=None),
        max(disk, default=None),
    )


async def after_fetch(context: Context, work: Work, task: asyncpg.Record, files: Sequence[File]) -> None:
    """The source is here: the build gets its version and its build tasks."""
    uploaded = [UploadedFile(**file.model_dump()) for file in files if kind_of(file.name) in {"dsc", "source"}]
    dscs = [file for file in uploaded if file.name.endswith(".dsc")]
    if len(dscs) != 1:
        raise DeborchError(ErrorCode.INVALID_SOURCE, f"the fetch brought {len(dscs)} .dsc files, one was expected")
    source = await read_source(context, dscs[0], [file for file in uploaded if file is not dscs[0]])
    build = await locked_build(work, task["build_id"])
    target = await work.connection.fetchrow(SQL["target_of_build"], build["id"])
    if target is None:
        raise DeborchError(ErrorCode.INTERNAL, f"build {build['id']} has no target")
    if target["require_signature"]:
        await require_signature(context, source)
    if source.control.name != build["source_name"]:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE, f"asked for {build['source_name']}, the suite gave {source.control.name}"
        )
    if not build["scratch"] and build["version"] is None:
        await refuse_known_version(work, target, source.control.name, source.control.version)
    plans = plan_builds(source.control.architectures, target["architectures"], build["architectures"])
    demands = await build_demands(context, work.connection, source.control.name, target, plans, build["required_tags"])
    version_id = await store_source(work.connection, source)
    try:
        async with work.connection.transaction():
            await work.connection.execute(SQL["set_build_source"], build["id"], source.control.version, version_id)
    except asyncpg.UniqueViolationError:
        raise DeborchError(
            ErrorCode.ALREADY_EXISTS,
            f"{source.control.name} {source.control.version} is being built for this target already",
        ) from None
    await add_build_tasks(
        context,
        work,
        build["id"],
        target,
        plans=plans,
        demands=demands,
        priority=build["priority"],
    )


async def advance_build(context: Context, work: Work, build_id: int) -> None:
    """Decide on the build once all of its tasks have ended; one with packages to publish goes to the archives."""
    build = await locked_build(work, build_id)
    if build["state"] != BuildState.BUILDING.value:
        return
    tasks = await work.connection.fetch(SQL["tasks_of_build"], build_id)
    if not all(TaskState(task["state"]).is_terminal for task in tasks):
        return
    failed = [task for task in tasks if task["state"] != TaskState.COMPLETED.value]
    if failed:
        said = ", ".join(f"{task['kind']} {task['architecture']}: {task['failure_class']}" for task in failed)
        await set_build_state(work, build, BuildState.FAILED, message=said)
    elif build["scratch"]:
        await set_build_state(work, build, BuildState.COMPLETED)
    else:
        work.after_commit.append(context.wake_publisher)


async def set_build_state(
    work: Work, build: asyncpg.Record, state: BuildState, *, message: str = "", generation: int | None = None
) -> None:
    """Move a locked build and tell of it."""
    await work.connection.execute(SQL["set_build_state"], build["id"], state.value, message, generation)
    event = BUILD_EVENTS.get(state)
    if event is None:
        return
    facts = {
        "build_id": build["id"],
        "target": build["target"],
        "source": build["source_name"],
        "version": build["version"] or "",
    }
    if state is BuildState.FAILED:
        facts["message"] = message
    work.tell(event(**facts))
