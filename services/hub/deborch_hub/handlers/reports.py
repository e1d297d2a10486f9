"""What builders report: begun, refused, done.

Guarded by attempt, host and state, so that a late report changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from prometheus_client import Counter

from deborch_hub.domain.failures import move_after
from deborch_hub.domain.transitions import Move
from deborch_hub.handlers.build_progress import advance_build, after_fetch, keep_artifacts, keep_measurement
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.ending import move_task, unblock
from deborch_hub.handlers.unit_of_work import SOURCE, Work
from deborch_hub.store.queries import SQL
from deborch_hub.store.records import make_records
from deborch_shared.contract.states import BlockedReason, TaskKind, TaskState
from deborch_shared.errors import DeborchError
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import (
    BuildDone,
    TaskBlocked,
    TaskCompleted,
    TaskFailed,
    TaskFreed,
    TaskRefused,
    TaskRunning,
    TaskStarted,
)
from deborch_shared.telemetry import current_traceparent

_log = logging.getLogger(__name__)
_stale = Counter("deborch_hub_stale_reports_total", "Reports of an attempt that is not the current one", ["type"])
_ended = Counter("deborch_hub_attempts_total", "Attempts that ended", ["outcome"])
_OUTCOMES = {Move.COMPLETE: "completed", Move.FAIL: "failed", Move.FREE: "freed", Move.DEP_WAIT: "blocked"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an attempt."""

    state: TaskState
    move: Move
    failure_class: str | None
    message: str


async def apply_reports(context: Context, events: Sequence[Event]) -> None:
    """Apply a batch of task.started, task.refused and build.done, in that order for each task."""
    started = [event.data for event in events if isinstance(event.data, TaskStarted)]
    done = [event.data for event in events if isinstance(event.data, BuildDone)]
    left = await _complete_noops(context, done)
    ended = {(report.task_id, report.attempt) for report in done} - {(r.task_id, r.attempt) for r in left}
    begun = [report for report in started if (report.task_id, report.attempt) not in ended]
    if begun or left:
        await _start(context, [*begun, *left])
    for report in left:
        await finish_attempt(context, report)
    for event in events:
        if isinstance(event.data, TaskRefused):
            await _apply_refusal(context, event.data)


async def _complete_noops(context: Context, done: Sequence[BuildDone]) -> list[BuildDone]:
    """Close in one statement what succeeded and has no results; gives the reports that need more than that."""
    simple = {(report.task_id, report.attempt): report for report in done if report.succeeded and not report.artifacts}
    if not simple:
        return list(done)
    parent = current_traceparent()
    told = [
        new_event(data, source=SOURCE, traceparent=parent)
        for report in simple.values()
        for data in (
            TaskRunning(task_id=report.task_id, attempt=report.attempt, kind=TaskKind.NOOP.value, host=report.host),
            TaskCompleted(task_id=report.task_id, attempt=report.attempt, kind=TaskKind.NOOP.value),
        )
    ]
    transactions = context.transactions
    records = await make_records(transactions.outbox_ids, told)
    count = await context.database.fetchval(
        SQL["complete_noops"], *_columns(list(simple.values())), *records.event_columns(), *records.message_columns()
    )
    if count != len(simple):
        return list(done)
    for task_id, _ in simple:
        context.board.release(task_id)
    transactions.committed(records.messages)
    _ended.labels("completed").inc(count)
    return [report for report in done if (report.task_id, report.attempt) not in simple]


async def _start(context: Context, begun: Sequence[TaskStarted | BuildDone]) -> None:
    """ASSIGNED -> RUNNING; a report of the end says that it began, too."""
    async with context.transactions.begin() as work:
        for row in await work.connection.fetch(SQL["start_tasks"], *_columns(begun)):
            work.tell(
                TaskRunning(
                    task_id=row["id"],
                    attempt=row["attempt"],
                    build_id=row["build_id"],
                    kind=row["kind"],
                    host=row["host"],
                )
            )


def _columns(reports: Sequence[TaskStarted | BuildDone]) -> tuple[list[int], list[int], list[str]]:
    """Ids, attempts and hosts, sorted so that two transactions lock rows in the same order."""
    ordered = sorted({(report.task_id, report.attempt, report.host) for report in reports})
    return [row[0] for row in ordered], [row[1] for row in ordered], [row[2] for row in ordered]


async def finish_attempt(context: Context, report: BuildDone, *, fenced: bool = False) -> None:
    """Close one attempt and do what follows from it, in one transaction.

    `fenced`: it is the scheduler's own verdict, which counts only while this replica schedules.
    """
    async with context.transactions.begin() as work:
        if fenced and not await work.connection.fetchval(
            SQL["lease_holds"], context.leadership.epoch, context.leadership.holder
        ):
            return
        await work.connection.fetchval(SQL["lock_build_of_task"], report.task_id)
        task = await work.connection.fetchrow(SQL["lock_task_for_report"], report.task_id, report.attempt, report.host)
        if task is None:
            _stale.labels(report.TYPE).inc()
            _log.info("stale report of task %d attempt %d by %s", report.task_id, report.attempt, report.host)
            return
        state = TaskState(task["state"])
        move = Move.COMPLETE
        failure_class, message = report.failure_class, report.message
        if report.succeeded:
            try:
                await keep_artifacts(context, work, task, report.artifacts)
                await keep_measurement(work, task, report.stages)
                if task["kind"] == TaskKind.FETCH_SOURCE.value:
                    await after_fetch(context, work, task, report.artifacts)
            except DeborchError as error:
                if error.temporary:
                    raise
                move, failure_class, message = Move.FAIL, "policy", str(error)
        else:
            begun = state is TaskState.RUNNING
            move = move_after(failure_class, task["times_freed"], task["max_attempts"], begun=begun)
            if not begun and move is Move.FREE:
                context.board.shun(report.task_id, task["host_id"])
        if move is Move.DEP_WAIT and state is TaskState.ASSIGNED:
            state = await move_task(work, report.task_id, state, report.attempt, Move.START)
        verdict = Verdict(state, move, failure_class, message)
        await _close(context, work, report, task, verdict)
        if move is Move.DEP_WAIT and await work.connection.fetchval(SQL["published_since_assigned"], report.task_id):
            await unblock(context, work, report.task_id, "the archive was published while it was looked for them")
        if task["build_id"] is not None and move in {Move.COMPLETE, Move.FAIL}:
            await advance_build(context, work, task["build_id"])
    context.board.release(report.task_id)
    _ended.labels(_OUTCOMES[move]).inc()


async def _close(
    context: Context,
    work: Work,
    report: BuildDone,
    task: asyncpg.Record,
    verdict: Verdict,
) -> None:
    move, failure_class, message = verdict.move, verdict.failure_class, verdict.message
    blocked = move is Move.DEP_WAIT
    await move_task(
        work,
        report.task_id,
        verdict.state,
        report.attempt,
        move,
        blocked_reason=BlockedReason.BUILD_DEPENDENCIES.value if blocked else None,
        missing=report.missing if blocked else (),
        failure_class=None if move is Move.COMPLETE else failure_class,
        message=message,
    )
    stages = [stage.model_dump() for stage in report.stages]
    await work.connection.execute(
        SQL["end_attempt"], report.task_id, report.attempt, _OUTCOMES[move], failure_class, message, stages
    )
    common = {"task_id": report.task_id, "attempt": report.attempt, "build_id": task["build_id"], "kind": task["kind"]}
    if move is Move.COMPLETE:
        work.tell(TaskCompleted(**common))
    elif move is Move.FAIL:
        work.tell(TaskFailed(**common, failure_class=failure_class or "internal", message=message))
    elif blocked:
        work.tell(TaskBlocked(**common, reason=BlockedReason.BUILD_DEPENDENCIES.value, missing=report.missing))
    else:
        work.tell(TaskFreed(**common, reason=f"{failure_class}: {message}"[:500]))
        work.after_commit.append(context.board.look_at_all)


async def _apply_refusal(context: Context, refusal: TaskRefused) -> None:
    """The host cannot take it: another gets it, and this one is not asked again for a while."""
    report = BuildDone(
        task_id=refusal.task_id,
        attempt=refusal.attempt,
        host=refusal.host,
        succeeded=False,
        failure_class="refused",
        message=refusal.reason[:8_000],
    )
    await finish_attempt(context, report)
