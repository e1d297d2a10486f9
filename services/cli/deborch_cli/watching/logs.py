"""The logs of one attempt after the other, for as long as there can be another."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from deborch_cli.watching.streams import LogEnd, ask_patiently, follow_log
from deborch_cli.watching.watch import is_in_dep_wait
from deborch_shared.contract.builds import AttemptSummary, Task, TaskSummary
from deborch_shared.http import ApiClient

_LOOK_EVERY_S = 0.5
AskTasks = Callable[[], Awaitable[Sequence[TaskSummary]]]


@dataclass(frozen=True, slots=True)
class AttemptBegins:
    """What follows is the log of the attempt that `task` is at."""

    task: TaskSummary


@dataclass(frozen=True, slots=True)
class AttemptEnds:
    """The attempt is over; `task` is as it was a moment later."""

    task: Task
    attempt: int

    @property
    def summary(self) -> AttemptSummary | None:
        return next((one for one in self.task.attempts if one.attempt == self.attempt), None)


LogPart = AttemptBegins | str | AttemptEnds


async def follow_attempts(hub: ApiClient, ask: AskTasks, first: TaskSummary) -> AsyncGenerator[LogPart, None]:
    """The log of `first`, then those of all attempts that follow of the tasks that `ask` gives, as they are made.

    Ends when each of these tasks is over or waits for build dependencies. What was over before is left out.
    """
    followed = {task.id: task.attempt for task in await ask() if task.state.is_terminal and task.id != first.id}
    task = first if first.attempt else await _next_attempt(ask, followed)
    while task is not None:
        yield AttemptBegins(task)
        async for part in follow_log(hub, task.id, attempt=task.attempt):
            if not isinstance(part, LogEnd):
                yield part
        followed[task.id] = task.attempt
        now = await ask_patiently(partial(hub.get, f"/api/v1/tasks/{task.id}", Task))
        yield AttemptEnds(now, task.attempt)
        task = await _next_attempt(ask, followed)


async def _next_attempt(ask: AskTasks, followed: dict[int, int]) -> TaskSummary | None:
    while True:
        tasks = await ask_patiently(ask)
        begun = [task for task in tasks if task.attempt > followed.get(task.id, 0)]
        if begun:
            return min(begun, key=lambda task: (task.assigned_at or task.created_at, task.id))
        if all(task.state.is_terminal or is_in_dep_wait(task) for task in tasks):
            return None
        await asyncio.sleep(_LOOK_EVERY_S)
