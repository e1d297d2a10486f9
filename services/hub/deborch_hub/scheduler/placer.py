"""FREE tasks meet hosts with room: woken by every commit that may change either, not by polling.

Long queues cost nothing: tasks are looked at by requirement class, and only classes that fit somewhere now.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
from prometheus_client import Counter

from deborch_hub.domain.matching import HostSlot
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.hosts import refresh_board
from deborch_hub.handlers.unit_of_work import SOURCE
from deborch_hub.store.queries import SQL
from deborch_hub.store.records import make_records
from deborch_shared.contract.states import TaskKind
from deborch_shared.errors import DeborchError
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import AssignTask, Resources, TaskAssigned
from deborch_shared.telemetry import batch_span, current_traceparent

_log = logging.getLogger(__name__)
_assigned = Counter("deborch_hub_tasks_assigned_total", "Tasks assigned by the scheduling loop")
CLAIM_LIMIT = 200
SAFETY_POLL_S = 1.0
_REFRESH_EVERY_POLLS = 5
_FORGIVE_EVERY_POLLS = 30
_AFTER_CONFLICT_S = 0.05
_AFTER_ERROR_S = 0.5


class Placer:
    """The scheduling loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._woken = asyncio.Event()
        self._polls = 0
        self._stale = False

    def wake(self) -> None:
        """Something changed that may let a task be placed."""
        self._woken.set()

    def others_committed(self) -> None:
        """Another replica has changed something: hosts, tasks or both."""
        self._stale = True
        self._woken.set()

    async def run(self) -> None:
        """Place tasks until cancelled; an unreachable database is waited for."""
        while True:
            try:
                await self._wait()
                if self._stale:
                    self._stale = False
                    await refresh_board(self._context)
                await self._place_all()
            except DeborchError as error:
                if not error.temporary:
                    raise
                _log.warning("scheduling pauses: %s", error)
                await asyncio.sleep(_AFTER_ERROR_S)
                self._context.board.look_at_all()

    async def _wait(self) -> None:
        if not self._woken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), SAFETY_POLL_S)
                self._woken.clear()
                return
            await self._poll()
        self._woken.clear()

    async def _poll(self) -> None:
        """The slow safety net: what a lost wake-up or another replica has left."""
        self._polls += 1
        board = self._context.board
        if self._polls % _FORGIVE_EVERY_POLLS == 0:
            board.forgive()
        if self._polls % _REFRESH_EVERY_POLLS == 0:
            await refresh_board(self._context)
        rows = await self._context.database.fetch(SQL["waiting_classes"])
        ids = {row["requirement_id"] for row in rows}
        if not ids <= board.demands.keys():
            await self._context.requirements.load()
        board.waiting |= ids & board.demands.keys()

    async def _place_all(self) -> None:
        board = self._context.board
        while True:
            classes = [requirement for requirement in board.waiting if board.can_place(requirement)]
            if not classes:
                return
            board.waiting.difference_update(classes)
            rows = await self._context.database.fetch(SQL["free_tasks_of_classes"], classes, CLAIM_LIMIT)
            pairs = [(row["id"], row["requirement_id"]) for row in rows]
            hosts = dict(board.place_batch(pairs))
            chosen = [(row, host) for row in rows if (host := hosts[row["id"]]) is not None]
            left = {row["requirement_id"] for row in rows if hosts[row["id"]] is None}
            board.waiting |= left if len(rows) < CLAIM_LIMIT else set(classes)
            if not chosen:
                return
            if not await self._assign(chosen):
                for row, _ in chosen:
                    board.release(row["id"])
                board.waiting.update(classes)
                await asyncio.sleep(_AFTER_CONFLICT_S)
                return

    async def _assign(self, chosen: Sequence[tuple[asyncpg.Record, HostSlot]]) -> bool:
        context = self._context
        parents = (row["traceparent"] for row, _ in chosen if row["traceparent"])
        with batch_span("scheduler.assign", parents) as span:
            span.set_attribute("deborch.batch.size", len(chosen))
            events, commands = self._tell(chosen)
            records = await make_records(context.transactions.outbox_ids, events, commands)
            try:
                count = await context.database.fetchval(
                    SQL["assign_tasks"],
                    [row["id"] for row, _ in chosen],
                    [host.host_id for _, host in chosen],
                    [row["attempt"] + 1 for row, _ in chosen],
                    context.leadership.epoch,
                    context.leadership.holder,
                    context.lease_s,
                    *records.event_columns(),
                    *records.message_columns(),
                )
            except DeborchError:
                for row, _ in chosen:
                    context.board.release(row["id"])
                raise
        if count != len(chosen):
            return False
        _assigned.inc(count)
        context.transactions.committed(records.messages)
        return True

    def _tell(self, chosen: Sequence[tuple[asyncpg.Record, HostSlot]]) -> tuple[list[Event], list[tuple[str, Event]]]:
        parent = current_traceparent()
        events: list[Event] = []
        commands: list[tuple[str, Event]] = []
        for row, host in chosen:
            task_id, attempt, kind, build_id = row["id"], row["attempt"] + 1, row["kind"], row["build_id"]
            demand = self._context.board.demands[row["requirement_id"]]
            assigned = TaskAssigned(task_id=task_id, attempt=attempt, build_id=build_id, kind=kind, host=host.name)
            events.append(new_event(assigned, source=SOURCE, traceparent=parent))
            order = AssignTask(
                task_id=task_id,
                attempt=attempt,
                kind=kind,
                build_id=build_id,
                architecture=row["architecture"],
                lease_s=self._context.lease_s,
                resources=Resources(cpu=demand.cpu, memory_bytes=demand.memory_bytes, disk_bytes=demand.disk_bytes),
                payload=self._payload(row),
            )
            commands.append((host.name, new_event(order, source=SOURCE, traceparent=parent)))
        return events, commands

    def _payload(self, row: asyncpg.Record) -> dict[str, Any]:
        """With the address that archives have now: it may be another one than when the task was made."""
        payload: dict[str, Any] = row["payload"]
        if row["kind"] != TaskKind.BUILD_PACKAGE.value:
            return payload
        sources, architecture = self._context.archive_sources, payload["architecture"]
        names = [archive["name"] for archive in payload["archives"]]
        return {**payload, "archives": [{"name": name, "sources": sources(name, [architecture])} for name in names]}
