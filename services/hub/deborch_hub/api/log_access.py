"""Who may write an attempt's log, and when an attempt is over. Asked often, so that answers are kept for a moment."""

import asyncio
import time
from collections import OrderedDict

from deborch_hub.store.reads.tasks import AttemptRecord, get_attempt
from deborch_shared.contract.states import TaskState
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Attempt, TaskId
from deborch_shared.security import Principal

_KEPT_S = 3.0
_KEPT = 4_096
_ASK_EVERY_S = 0.5
_ON_A_HOST = frozenset({TaskState.ASSIGNED, TaskState.RUNNING})


class WriterCheck:
    """Lets only the host that has the current attempt write its log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._allowed: OrderedDict[tuple[TaskId, Attempt, str], float] = OrderedDict()

    async def __call__(self, task_id: TaskId, attempt: Attempt, by: Principal) -> None:
        """Refuse all others.

        Raises:
            DeborchError: NOT_FOUND, FORBIDDEN for another host's attempt, CONFLICT for one that is over.
        """
        key = (task_id, attempt, by.host or "")
        if self._allowed.get(key, float("-inf")) > time.monotonic():
            return
        record = await get_attempt(self._database, task_id, attempt)
        if record.attempt is None:
            raise DeborchError(ErrorCode.NOT_FOUND, f"task {task_id} has no attempt {attempt}")
        by.require_host(record.host or "")
        if record.last_attempt != attempt or record.ended_at is not None or record.task_state not in _ON_A_HOST:
            raise DeborchError(
                ErrorCode.CONFLICT,
                f"attempt {attempt} of task {task_id} is over: the task is {record.task_state}",
                hint="stop the work on it and forget it",
                task_state=record.task_state.value,
            )
        self._allowed[key] = time.monotonic() + _KEPT_S
        self._allowed.move_to_end(key)
        if len(self._allowed) > _KEPT:
            self._allowed.popitem(last=False)


class AttemptWatch:
    """One attempt as it goes on; asks the database at most twice a second."""

    def __init__(self, database: Database, task_id: TaskId, record: AttemptRecord) -> None:
        self.record = record
        self._database = database
        self._task_id = task_id
        self._asked_at = time.monotonic()

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        if self.record.attempt is None:
            return self.record.task_state.is_terminal
        return self.record.ended_at is not None

    async def begun(self) -> bool:
        """Wait a moment for the first attempt; True once there is one, or there will be none."""
        if self.record.attempt is None and not self.over:
            await asyncio.sleep(_ASK_EVERY_S)
            await self._ask()
        return self.record.attempt is not None or self.over

    async def ended(self) -> bool:
        if not self.over and time.monotonic() - self._asked_at >= _ASK_EVERY_S:
            await self._ask()
        return self.over

    async def _ask(self) -> None:
        self._asked_at = time.monotonic()
        self.record = await get_attempt(self._database, self._task_id, self.record.attempt)
