"""Tasks that arrive one by one share commits: whatever is there when the last commit returns goes with the next.

In a rush a commit waits some milliseconds for those who were in the last ones: who submits in a loop comes back as
soon as it has its answer, and a commit for one costs nearly as much as one for all. On the scheduling replica a task
that finds room is submitted and assigned in the same statement.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from deborch_hub.domain.placement import Board, Leadership
from deborch_hub.handlers.unit_of_work import SOURCE, Transactions
from deborch_hub.store.id_blocks import IdBlocks
from deborch_hub.store.queries import SQL
from deborch_hub.store.records import make_records
from deborch_shared.contract.builds import TaskRef
from deborch_shared.contract.states import TaskKind, TaskState
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import AssignTask, Resources, TaskAssigned, TaskCreated
from deborch_shared.telemetry import batch_span

MAX_BATCH = 500
RUSH_S = 0.02
"""A commit that is wanted so soon after the last one is part of a rush."""
GATHER_S = 0.004
"""How long a commit waits at most for company in a rush."""
_REMEMBERED_BATCHES = 4


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task of no build, ready to be written."""

    kind: TaskKind
    architecture: str
    label: str
    requirement_id: int
    priority: int
    payload: dict[str, object]
    traceparent: str = ""


@dataclass(slots=True)
class _Waiting:
    task: NewTask
    done: "asyncio.Future[TaskRef]"


class Rush:
    """How many tasks the next batch can be expected to have, by those just before it; 0 after a rest."""

    def __init__(self) -> None:
        self._sizes: deque[int] = deque(maxlen=_REMEMBERED_BATCHES)
        self._ended_s = 0.0

    def note(self, size: int, now_s: float) -> None:
        """A batch of `size` was written."""
        if now_s - self._ended_s > RUSH_S:
            self._sizes.clear()
        self._sizes.append(size)
        self._ended_s = now_s

    def expected(self, now_s: float) -> int:
        return max(self._sizes) if self._sizes and now_s - self._ended_s < RUSH_S else 0


class Submissions:
    """Collects new tasks and writes them in batches. `run` must be running."""

    def __init__(
        self, transactions: Transactions, *, task_ids: IdBlocks, board: Board, leadership: Leadership, lease_s: float
    ) -> None:
        self._transactions = transactions
        self._task_ids = task_ids
        self._board = board
        self._leadership = leadership
        self._lease_s = lease_s
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._rush = Rush()
        self._expected = 0
        self._all_here = asyncio.Event()

    async def submit(self, task: NewTask) -> TaskRef:
        """Write `task`; returns when it is durable."""
        waiting = _Waiting(task, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        if len(self._waiting) >= self._expected:
            self._all_here.set()
        return await waiting.done

    async def run(self) -> None:
        """Write batches until cancelled; who waits then is told so."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._gather()
                    batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                    await self._write(batch)
                    self._rush.note(len(batch), asyncio.get_running_loop().time())
        finally:
            for waiting in self._waiting:
                waiting.done.cancel()

    async def _gather(self) -> None:
        self._expected = min(self._rush.expected(asyncio.get_running_loop().time()), MAX_BATCH)
        if len(self._waiting) < self._expected:
            self._all_here.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_here.wait(), GATHER_S)
        self._expected = 0

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            parents = (waiting.task.traceparent for waiting in batch if waiting.task.traceparent)
            with batch_span("hub.submit", parents):
                references = await self.write([waiting.task for waiting in batch])
        except Exception as error:
            for waiting in batch:
                if not waiting.done.done():
                    waiting.done.set_exception(error)
            return
        for waiting, reference in zip(batch, references, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(reference)

    async def write(self, tasks: Sequence[NewTask]) -> list[TaskRef]:
        """Write tasks in one statement, placed where there is room if this replica schedules."""
        ids = await self._task_ids.take(len(tasks))
        if self._leadership.held:
            placed = self._place(ids, tasks)
            if any(host_id is not None for host_id, _ in placed):
                try:
                    if await self._insert(ids, tasks, placed):
                        self._note_unplaced(tasks, placed)
                        return _references(ids, placed)
                except BaseException:
                    self._give_up(ids)
                    raise
                self._give_up(ids)
        nowhere: list[tuple[int | None, str]] = [(None, "")] * len(tasks)
        await self._insert(ids, tasks, nowhere)
        self._note_unplaced(tasks, nowhere)
        return _references(ids, nowhere)

    def _place(self, ids: Sequence[int], tasks: Sequence[NewTask]) -> list[tuple[int | None, str]]:
        """A host for each task, unless others of its class wait already: nobody jumps the queue."""
        fresh = [
            (task_id, task.requirement_id)
            for task_id, task in zip(ids, tasks, strict=True)
            if task.requirement_id not in self._board.waiting and task.requirement_id in self._board.demands
        ]
        found = dict(self._board.place_batch(fresh))
        hosts = [found.get(task_id) for task_id in ids]
        return [(host.host_id, host.name) if host is not None else (None, "") for host in hosts]

    def _give_up(self, ids: Sequence[int]) -> None:
        for task_id in ids:
            self._board.release(task_id)

    def _note_unplaced(self, tasks: Sequence[NewTask], placed: Sequence[tuple[int | None, str]]) -> None:
        for task, (host_id, _) in zip(tasks, placed, strict=True):
            if host_id is None:
                self._board.waiting.add(task.requirement_id)

    async def _insert(
        self, ids: Sequence[int], tasks: Sequence[NewTask], placed: Sequence[tuple[int | None, str]]
    ) -> bool:
        fenced = any(host_id is not None for host_id, _ in placed)
        events, commands = self._tell(ids, tasks, placed)
        records = await make_records(self._transactions.outbox_ids, events, commands)
        types, task_ids, _, bodies = records.event_columns()
        message_ids, exchanges, keys, content_types, message_bodies = records.message_columns()
        count = await self._transactions.database.fetchval(
            SQL["submit_tasks"],
            list(ids),
            [task.kind.value for task in tasks],
            [task.architecture for task in tasks],
            [task.label for task in tasks],
            [task.requirement_id for task in tasks],
            [task.priority for task in tasks],
            [orjson.dumps(task.payload).decode() for task in tasks],
            [host_id for host_id, _ in placed],
            types,
            task_ids,
            bodies,
            message_ids,
            exchanges,
            keys,
            self._leadership.epoch if fenced else None,
            self._leadership.holder,
            self._lease_s,
            content_types,
            message_bodies,
            [task.traceparent for task in tasks],
        )
        if count != len(tasks):
            return False
        self._transactions.committed(records.messages)
        return True

    def _tell(
        self, ids: Sequence[int], tasks: Sequence[NewTask], placed: Sequence[tuple[int | None, str]]
    ) -> tuple[list[Event], list[tuple[str, Event]]]:
        events: list[Event] = []
        commands: list[tuple[str, Event]] = []
        for task_id, task, (host_id, host) in zip(ids, tasks, placed, strict=True):
            created = TaskCreated(task_id=task_id, kind=task.kind.value, architecture=task.architecture)
            events.append(new_event(created, source=SOURCE, traceparent=task.traceparent))
            if host_id is None:
                continue
            assigned = TaskAssigned(task_id=task_id, attempt=1, kind=task.kind.value, host=host)
            events.append(new_event(assigned, source=SOURCE, traceparent=task.traceparent))
            demand = self._board.demands[task.requirement_id]
            order = AssignTask(
                task_id=task_id,
                attempt=1,
                kind=task.kind.value,
                architecture=task.architecture,
                lease_s=self._lease_s,
                resources=Resources(cpu=demand.cpu, memory_bytes=demand.memory_bytes, disk_bytes=demand.disk_bytes),
                payload=task.payload,
            )
            commands.append((host, new_event(order, source=SOURCE, traceparent=task.traceparent)))
        return events, commands


def _references(ids: Sequence[int], placed: Sequence[tuple[int | None, str]]) -> list[TaskRef]:
    return [
        TaskRef(id=task_id, state=TaskState.FREE if host_id is None else TaskState.ASSIGNED)
        for task_id, (host_id, _) in zip(ids, placed, strict=True)
    ]
