"""Starting a build: the source checked, the build and its tasks written in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from deborch_hub.domain.estimates import demand_of
from deborch_hub.domain.matching import Demand
from deborch_hub.domain.planning import PlannedBuild, plan_builds
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.idempotency import once_only
from deborch_hub.handlers.port import Idempotency
from deborch_hub.handlers.sources import UploadedSource, read_source, require_signature, store_source
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_hub.store.reads.measurements import Reader, largest_host, measurements_of
from deborch_shared.contract.builds import BuildCreate, UploadedFile
from deborch_shared.contract.payloads import ArchiveAccess, BuildPackagePayload, FetchSourcePayload
from deborch_shared.contract.states import BlockedReason, TaskKind, TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import BuildRequested, TaskCreated
from deborch_shared.ids import BuildId
from deborch_shared.security import Principal
from deborch_shared.telemetry import current_traceparent


async def create_build(context: Context, command: BuildCreate, by: Principal, once: Idempotency | None) -> BuildId:
    """Write a build with its tasks. See `Commands`."""
    target = await target_row(context, command.target)
    source = None
    if command.dsc is not None:
        source = await read_source(context, command.dsc, command.files)
        if target["require_signature"]:
            await require_signature(context, source)
    plans = plan_builds(
        source.control.architectures if source else ["any"], target["architectures"], command.architectures
    )
    if source is None:
        demands: dict[str, Demand] = {}
        await context.requirements.id_of(_fetch_demand(context, target, command))
    else:
        demands = await build_demands(
            context, context.database, source.control.name, target, plans, command.required_tags
        )
    async with context.transactions.begin() as work:
        build_id = await once_only(work, by, once, lambda: _insert(work, command, target, source, by))
        if build_id.repeated:
            return BuildId(build_id.value)
        await _wait_for(work, build_id.value, command.after_builds)
        if source is not None:
            await add_build_tasks(
                context,
                work,
                build_id.value,
                target,
                plans=plans,
                demands=demands,
                priority=command.priority,
            )
        else:
            await _add_fetch_task(context, work, build_id.value, target, command)
    return BuildId(build_id.value)


async def target_row(context: Context, name: str) -> asyncpg.Record:
    row = await context.database.fetchrow(SQL["target_by_name"], name)
    if row is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no target {name}", hint="`deborch target list` shows them")
    return row


async def _insert(
    work: Work,
    command: BuildCreate,
    target: asyncpg.Record,
    source: UploadedSource | None,
    by: Principal,
) -> int:
    name, version = _wanted(command, source)
    if version is not None and not command.scratch:
        await refuse_known_version(work, target, name, version)
    version_id = await store_source(work.connection, source) if source is not None else None
    try:
        build_id = await work.connection.fetchval(
            SQL["insert_build"],
            target["id"],
            name,
            version,
            version_id,
            list(command.architectures),
            list(command.required_tags),
            command.scratch,
            by.subject,
            command.priority,
        )
    except asyncpg.UniqueViolationError:
        raise _under_way(name, version or "", None) from None
    work.tell(
        BuildRequested(build_id=build_id, target=target["name"], source=name, version=version or "", owner=by.subject)
    )
    return int(build_id)


def _wanted(command: BuildCreate, source: UploadedSource | None) -> tuple[str, str | None]:
    if source is not None:
        return source.control.name, source.control.version
    if command.suite_source is None:
        raise DeborchError(ErrorCode.INVALID_INPUT, "give exactly one of dsc and suite_source")
    return command.suite_source.name, command.suite_source.version


async def refuse_known_version(work: Work, target: asyncpg.Record, name: str, version: str) -> None:
    """A version is published once; one that is under way is not started twice."""
    present = await work.connection.fetchrow(SQL["source_in_archive"], target["id"], name, version)
    if present is not None:
        raise DeborchError(
            ErrorCode.VERSION_PRESENT,
            f"{name} {version} is already in the archive of {target['name']}",
            hint="raise the version (`dch -i`), or use --scratch to build without publishing",
        )
    active = await work.connection.fetchval(SQL["active_build"], target["id"], name, version)
    if active is not None:
        raise _under_way(name, version, int(active))


def _under_way(name: str, version: str, build_id: int | None) -> DeborchError:
    which = f"build {build_id}" if build_id is not None else "another build"
    return DeborchError(
        ErrorCode.ALREADY_EXISTS,
        f"{name} {version} is being built for this target by {which}",
        hint="watch that one with `deborch build show`, or cancel it first",
        build_id=build_id,
    )


async def _wait_for(work: Work, build_id: int, after: Sequence[int]) -> None:
    if not after:
        return
    rows = await work.connection.fetch(SQL["builds_in_states"], list(after))
    states = {row["id"]: row["state"] for row in rows}
    for other in after:
        if other not in states:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"there is no build {other} to wait for",
                hint="`deborch build list` shows them",
            )
        if states[other] in {"failed", "canceled"}:
            raise DeborchError(
                ErrorCode.CONFLICT, f"build {other} is {states[other]} and would be waited for in vain",
                hint=f"give it back first: `deborch build giveback {other}`",
            )  # fmt: skip
        await work.connection.execute(SQL["add_build_dependency"], build_id, other)


async def add_build_tasks(
    context: Context,
    work: Work,
    build_id: int,
    target: asyncpg.Record,
    *,
    plans: Sequence[PlannedBuild],
    demands: Mapping[str, Demand],
    priority: int,
) -> None:
    """One build-package task per planned architecture, in the caller's transaction."""
    build = await work.connection.fetchrow(SQL["lock_build"], build_id)
    if build is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no build {build_id}")
    version = await work.connection.fetchrow(SQL["source_version"], build["source_version_id"])
    files = await work.connection.fetch(SQL["source_files_of_version"], build["source_version_id"])
    if version is None:
        raise DeborchError(ErrorCode.INTERNAL, f"build {build_id} has no source yet")
    for plan in plans:
        payload = BuildPackagePayload(
            target=target["name"],
            suite=target["suite"],
            components=tuple(target["components"]),
            architecture=plan.architecture,
            mode=plan.mode,
            dsc=UploadedFile(
                name=version["dsc_name"], sha256=version["dsc_sha256"].hex(), size_bytes=version["dsc_size_bytes"]
            ),
            files=tuple(
                UploadedFile(name=row["name"], sha256=row["sha256"].hex(), size_bytes=row["size_bytes"])
                for row in files
            ),
            archives=(
                ArchiveAccess(
                    name=target["name"], sources=context.archive_sources(target["name"], [plan.architecture])
                ),
            ),
            timeout_s=context.defaults.build_timeout_s,
        )
        label = f"{version['name']} {version['version']} {plan.architecture}"
        await _add_task(
            context,
            work,
            build_id,
            kind=TaskKind.BUILD_PACKAGE,
            architecture=plan.architecture,
            label=label,
            demand=demands[plan.architecture],
            priority=priority,
            payload=payload.model_dump(),
        )


async def _add_fetch_task(
    context: Context, work: Work, build_id: int, target: asyncpg.Record, command: BuildCreate
) -> None:
    wanted = command.suite_source
    if wanted is None:
        raise DeborchError(ErrorCode.INTERNAL, "a build without a .dsc has a source to fetch")
    demand = _fetch_demand(context, target, command)
    payload = FetchSourcePayload(
        target=target["name"],
        suite=target["suite"],
        components=tuple(target["components"]),
        architecture=demand.architecture,
        name=wanted.name,
        version=wanted.version,
    )
    label = f"{wanted.name} {wanted.version or 'newest'} from {target['suite']}"
    await _add_task(
        context,
        work,
        build_id,
        kind=TaskKind.FETCH_SOURCE,
        architecture=demand.architecture,
        label=label,
        demand=demand,
        priority=command.priority,
        payload=payload.model_dump(),
    )


async def build_demands(
    context: Context,
    reader: Reader,
    source: str,
    target: asyncpg.Record,
    plans: Sequence[PlannedBuild],
    required_tags: Sequence[str],
) -> dict[str, Demand]:
    """What the builds of `plans` ask for, by architecture: as earlier ones of `source` used, else the defaults.

    Their classes are known from here on: to make one inside a transaction would want a second connection.
    """
    defaults = context.defaults
    found = {}
    for plan in plans:
        default = Demand(
            plan.architecture,
            frozenset(target["required_tags"]) | frozenset(required_tags),
            defaults.build_cpu,
            defaults.build_memory_bytes,
            defaults.build_disk_bytes,
        )
        measured = await measurements_of(reader, source, plan.architecture)
        largest = await largest_host(reader, plan.architecture) if measured else None
        found[plan.architecture] = demand_of(default, measured, largest)
        await context.requirements.id_of(found[plan.architecture])
    return found


def _fetch_demand(context: Context, target: asyncpg.Record, command: BuildCreate) -> Demand:
    architecture = (command.architectures or tuple(target["architectures"]))[0]
    return Demand(architecture, frozenset(target["required_tags"]), 1, 0, context.defaults.fetch_disk_bytes)


async def _add_task(
    context: Context,
    work: Work,
    build_id: int,
    *,
    kind: TaskKind,
    architecture: str,
    label: str,
    demand: Demand,
    priority: int,
    payload: dict[str, Any],
) -> None:
    requirement_id = await context.requirements.id_of(demand)
    unpublished = await work.connection.fetchval(SQL["unpublished_predecessors"], build_id)
    state = TaskState.BLOCKED if unpublished else TaskState.FREE
    reason = BlockedReason.ARCHIVE.value if unpublished else None
    (task_id,) = await context.task_ids.take(1, work.connection)
    await work.connection.execute(
        SQL["insert_task"],
        task_id,
        build_id,
        kind.value,
        architecture,
        label,
        state.value,
        reason,
        requirement_id,
        priority,
        payload,
        current_traceparent(),
    )
    work.tell(
        TaskCreated(task_id=task_id, build_id=build_id, kind=kind.value, architecture=architecture, state=state.value)
    )
    if state is TaskState.FREE:
        work.after_commit.append(lambda: context.board.waiting.add(requirement_id))
