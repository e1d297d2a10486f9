"""Ending and resuming by hand: cancel a task or a build, give a build back."""

from collections.abc import Sequence

import asyncpg

from deborch_hub.domain.transitions import Move, sources_of, transition
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.contract.builds import GiveBack
from deborch_shared.contract.states import BuildState, TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import BuildCanceled, BuildRequested, CancelTask, TaskCanceled, TaskFreed
from deborch_shared.ids import BuildId, TaskId
from deborch_shared.security import Principal


async def cancel_task(context: Context, task_id: TaskId, by: Principal) -> None:
    """Cancel one task; a task of a build takes the build with it."""
    async with context.transactions.begin() as work:
        task = await work.connection.fetchrow(SQL["lock_task"], task_id)
        if task is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND, f"there is no task {task_id}", hint="`deborch task list` shows them"
            )
        if task["build_id"] is None:
            transition(TaskState(task["state"]), Move.CANCEL)
            await _cancel(context, work, task, by)
            return
    await cancel_build(context, BuildId(task["build_id"]), by)


async def cancel_build(context: Context, build_id: BuildId, by: Principal) -> None:
    """Cancel a build and stop what runs of it."""
    async with context.transactions.begin() as work:
        build = await locked_build(work, build_id)
        if build["state"] != BuildState.BUILDING.value:
            raise DeborchError(
                ErrorCode.ILLEGAL_TRANSITION,
                f"build {build_id} is {build['state']} and cannot be canceled",
                hint="only a build under way can be canceled; what is published stays",
            )
        for task in await work.connection.fetch(SQL["tasks_of_build"], build_id):
            if not TaskState(task["state"]).is_terminal:
                await _cancel(context, work, task, by)
        await work.connection.execute(
            SQL["set_build_state"], build_id, BuildState.CANCELED.value, f"canceled by {by.subject}", None
        )
        work.tell(
            BuildCanceled(
                build_id=build_id, target=build["target"], source=build["source_name"], version=build["version"] or ""
            )
        )


async def _cancel(context: Context, work: Work, task: asyncpg.Record, by: Principal) -> None:
    task_id, attempt = task["id"], task["attempt"]
    message = f"canceled by {by.subject}"
    await move_task(work, task_id, TaskState(task["state"]), attempt, Move.CANCEL, message=message)
    if task["state"] in {TaskState.ASSIGNED.value, TaskState.RUNNING.value}:
        await work.connection.execute(SQL["end_attempt"], task_id, attempt, "canceled", None, message, [])
        work.command(task["host"], CancelTask(task_id=task_id, attempt=attempt))
    work.tell(TaskCanceled(task_id=task_id, attempt=attempt, build_id=task.get("build_id"), kind=task["kind"]))
    work.after_commit.append(lambda: context.board.release(task_id))


async def move_task(
    work: Work,
    task_id: int,
    state: TaskState,
    attempt: int,
    move: Move,
    *,
    blocked_reason: str | None = None,
    missing: Sequence[str] = (),
    failure_class: str | None = None,
    message: str = "",
) -> TaskState:
    """Make a legal move, guarded by state and attempt; the row is locked by the caller, so it cannot miss."""
    to = transition(state, move).to
    done = await work.connection.execute(
        SQL["move_task"], task_id, state.value, attempt, to.value, blocked_reason, list(missing), failure_class, message
    )
    if done != "UPDATE 1":
        raise DeborchError(ErrorCode.CONFLICT, f"task {task_id} has changed meanwhile", hint="try again")
    return to


async def give_back(context: Context, build_id: BuildId, command: GiveBack, by: Principal) -> None:
    """Try again the tasks of a build that ended without success, or that wait for build dependencies."""
    async with context.transactions.begin() as work:
        build = await locked_build(work, build_id)
        if build["state"] in {BuildState.COMPLETED.value, BuildState.PUBLISHING.value}:
            raise DeborchError(
                ErrorCode.ILLEGAL_TRANSITION,
                f"build {build_id} is {build['state']}: nothing to give back",
                hint="to build it again raise its version and submit it, or submit it with --scratch",
            )
        if BuildState(build["state"]).is_terminal and await work.connection.fetchval(
            SQL["unpublished_predecessors"], build_id
        ):
            raise DeborchError(
                ErrorCode.ILLEGAL_TRANSITION,
                f"build {build_id} waits for builds that are not published",
                hint=f"give those back first (`deborch build show {build_id}` names them), or submit this one anew",
            )
        freed = 0
        for task in await work.connection.fetch(SQL["tasks_of_build"], build_id):
            wanted = not command.architectures or task["architecture"] in command.architectures
            if wanted and task["state"] in sources_of(Move.GIVE_BACK) and task["blocked_reason"] != "archive":
                await _free(context, work, task, build_id, by)
                freed += 1
        if not freed:
            raise DeborchError(
                ErrorCode.ILLEGAL_TRANSITION,
                f"build {build_id} has no task that could be given back",
                hint="`deborch build show` lists its tasks and their states",
            )
        if BuildState(build["state"]).is_terminal:
            try:
                await work.connection.execute(SQL["set_build_state"], build_id, BuildState.BUILDING.value, "", None)
            except asyncpg.UniqueViolationError:
                raise DeborchError(
                    ErrorCode.ALREADY_EXISTS,
                    "another build of that version is under way for this target",
                    hint=f"`deborch build list --source {build['source_name']}` shows it; cancel it or wait for it",
                ) from None
            work.tell(
                BuildRequested(
                    build_id=build_id,
                    target=build["target"],
                    source=build["source_name"],
                    version=build["version"] or "",
                    owner=build["owner"],
                )
            )


async def _free(context: Context, work: Work, task: asyncpg.Record, build_id: int, by: Principal) -> None:
    reason = f"given back by {by.subject}"
    await move_task(work, task["id"], TaskState(task["state"]), task["attempt"], Move.GIVE_BACK)
    work.tell(
        TaskFreed(task_id=task["id"], attempt=task["attempt"], build_id=build_id, kind=task["kind"], reason=reason)
    )
    requirement_id = task["requirement_id"]
    work.after_commit.append(lambda: context.board.waiting.add(requirement_id))


async def unblock(context: Context, work: Work, task_id: int, reason: str) -> None:
    """A BLOCKED task has what it waited for."""
    task = await work.connection.fetchrow(SQL["lock_task"], task_id)
    if task is None or task["state"] != TaskState.BLOCKED.value:
        return
    await move_task(work, task_id, TaskState.BLOCKED, task["attempt"], Move.UNBLOCK)
    work.tell(
        TaskFreed(task_id=task_id, attempt=task["attempt"], build_id=task["build_id"], kind=task["kind"], reason=reason)
    )
    work.after_commit.append(context.board.look_at_all)


async def locked_build(work: Work, build_id: int) -> asyncpg.Record:
    """The build, so that nobody else decides on it in this transaction's time."""
    build = await work.connection.fetchrow(SQL["lock_build"], build_id)
    if build is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no build {build_id}", hint="`deborch build list` shows them")
    return build
