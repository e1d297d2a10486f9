"""Heartbeats: hosts are alive, leases are renewed, and hosts are told to stop what is not theirs any more."""

from collections.abc import Sequence

import asyncpg

from deborch_hub.handlers.context import Context
from deborch_hub.handlers.hosts import refresh_board
from deborch_hub.store.queries import SQL
from deborch_shared.events import Event
from deborch_shared.events.model import CancelTask, HostHeartbeat, RunningTask, TaskProgress

PROGRESS_EVERY_S = 30.0
"""Between two task.progress of one stage: the record of events is no place for samples of each second."""


async def apply_heartbeats(context: Context, events: Sequence[Event]) -> None:
    """Apply a batch; of several heartbeats of one host the last counts."""
    latest = {event.data.host: event.data for event in events if isinstance(event.data, HostHeartbeat)}
    beats = [latest[host] for host in sorted(latest)]
    rows = await context.database.fetch(
        SQL["heartbeat"],
        [beat.host for beat in beats],
        [beat.load_1m for beat in beats],
        [beat.draining for beat in beats],
        [beat.obstacle for beat in beats],
    )
    await _apply_running(context, [(beat.host, task) for beat in beats for task in beat.running])
    if any(row["came_back"] or row["changed"] for row in rows):
        await refresh_board(context)
        context.transactions.wake()


async def _apply_running(context: Context, running: Sequence[tuple[str, RunningTask]]) -> None:
    if not running:
        return
    ordered = sorted(running, key=lambda one: (one[1].task_id, one[1].attempt, one[0]))
    rows = await context.database.fetch(
        SQL["renew_leases"],
        [task.task_id for _, task in ordered],
        [task.attempt for _, task in ordered],
        [host for host, _ in ordered],
        context.lease_s,
        [task.stage for _, task in ordered],
        [task.progress.model_dump() if task.progress else None for _, task in ordered],
        PROGRESS_EVERY_S,
    )
    if not rows:
        return
    async with context.transactions.begin() as work:
        for row in rows:
            if row["stale"]:
                work.command(row["host"], CancelTask(task_id=row["id"], attempt=row["attempt"]))
            else:
                work.tell(_progress(row))


def _progress(row: asyncpg.Record) -> TaskProgress:
    return TaskProgress(
        task_id=row["id"],
        attempt=row["attempt"],
        build_id=row["build_id"],
        kind=row["kind"],
        host=row["host"],
        stage=row["stage"],
        **row["progress"],
    )
