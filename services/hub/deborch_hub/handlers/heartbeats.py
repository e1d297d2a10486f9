"""Heartbeats: hosts are alive, leases are renewed, and hosts are told to stop what is not theirs any more."""

from collections.abc import Sequence

from deborch_hub.handlers.context import Context
from deborch_hub.handlers.hosts import refresh_board
from deborch_hub.store.queries import SQL
from deborch_shared.events import Event
from deborch_shared.events.model import CancelTask, HostHeartbeat


async def apply_heartbeats(context: Context, events: Sequence[Event]) -> None:
    """Apply a batch; of several heartbeats of one host the last counts."""
    latest = {event.data.host: event.data for event in events if isinstance(event.data, HostHeartbeat)}
    beats = [latest[host] for host in sorted(latest)]
    rows = await context.database.fetch(
        SQL["heartbeat"],
        [beat.host for beat in beats],
        [beat.load_1m for beat in beats],
        [beat.draining for beat in beats],
    )
    running = sorted((task.task_id, task.attempt, beat.host, task.stage) for beat in beats for task in beat.running)
    if running:
        stale = await context.database.fetch(
            SQL["renew_leases"],
            [row[0] for row in running],
            [row[1] for row in running],
            [row[2] for row in running],
            context.lease_s,
            [row[3] for row in running],
        )
        if stale:
            async with context.transactions.begin() as work:
                for row in stale:
                    work.command(row["host"], CancelTask(task_id=row["id"], attempt=row["attempt"]))
    if any(row["came_back"] or row["changed"] for row in rows):
        await refresh_board(context)
        context.transactions.wake()
