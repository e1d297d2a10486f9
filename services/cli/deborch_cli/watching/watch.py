"""Watching until it is over: events say that something changed, the hub is asked what, a view shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from deborch_cli.watching.streams import LogEnd, ask_patiently, follow_events, follow_log
from deborch_shared.contract.builds import BuildDetail, Task, TaskSummary
from deborch_shared.contract.states import BlockedReason, TaskState
from deborch_shared.errors import DeborchError
from deborch_shared.http import ApiClient

_SETTLE_S = 0.1
"""Events come in clusters; one question after the cluster is enough."""
_ASK_ANYWAY_AFTER_S = 5.0
"""Should an event be lost on the way, the view is late by no more than this."""
_FROM_THE_BEGINNING = "0-0"

Watched = BuildDetail | Task
WatchedT = TypeVar("WatchedT", bound=Watched)


class View(Protocol):
    """Shows what is watched."""

    wants_log: bool

    def show(self, watched: Watched) -> None:
        """It is like this now; called at least at the beginning and at the end."""

    def event(self, event: str) -> None:
        """An event about it, as JSON."""

    def log(self, task: TaskSummary, text: str) -> None:
        """The log of `task` goes on with `text`."""


async def watch_build(hub: ApiClient, build_id: int, view: View) -> BuildDetail:
    """Watch until the build is over or nothing but missing build dependencies can move it on."""

    async def ask() -> BuildDetail:
        return await hub.get(f"/api/v1/builds/{build_id}", BuildDetail)

    def is_over(build: BuildDetail) -> bool:
        return build.state.is_terminal or waits_for_dependencies(build)

    watch = _Watch(hub, {"build_id": str(build_id)}, ask, is_over, lambda build: build.tasks, view)
    return await watch.run()


async def watch_task(hub: ApiClient, task_id: int, view: View) -> Task:
    """Watch until the task is over."""

    async def ask() -> Task:
        return await hub.get(f"/api/v1/tasks/{task_id}", Task)

    watch = _Watch(hub, {"task_id": str(task_id)}, ask, lambda task: task.state.is_terminal, lambda task: [task], view)
    return await watch.run()


def waits_for_dependencies(build: BuildDetail) -> bool:
    """True if every task that is not over is in dep-wait: only another package, published, can change that."""
    unfinished = [task for task in build.tasks if not task.state.is_terminal]
    return bool(unfinished) and all(map(is_in_dep_wait, unfinished))


def is_in_dep_wait(task: TaskSummary) -> bool:
    return task.state is TaskState.BLOCKED and task.blocked_reason is BlockedReason.BUILD_DEPENDENCIES


class _Watch(Generic[WatchedT]):
    """One thing under watch: a listener for events, a follower of the log that grows, and the loop between."""

    def __init__(
        self,
        hub: ApiClient,
        params: Mapping[str, str],
        ask: Callable[[], Awaitable[WatchedT]],
        is_over: Callable[[WatchedT], bool],
        tasks_of: Callable[[WatchedT], Sequence[TaskSummary]],
        view: View,
    ) -> None:
        self._hub = hub
        self._params = params
        self._ask = ask
        self._is_over = is_over
        self._tasks_of = tasks_of
        self._view = view
        self._changed = asyncio.Event()
        self._followed: tuple[int, int] | None = None
        self._follower: asyncio.Task[None] | None = None

    async def run(self) -> WatchedT:
        watched = await self._ask()
        self._view.show(watched)
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(self._listen())
            try:
                while not self._is_over(watched):
                    self._follow_newest(group, self._tasks_of(watched))
                    await self._something_new()
                    watched = await ask_patiently(self._ask)
                    self._view.show(watched)
            finally:
                listener.cancel()
                if self._follower is not None:
                    self._follower.cancel()
        return watched

    async def _listen(self) -> None:
        async for event in follow_events(self._hub, self._params, last_id=_FROM_THE_BEGINNING):
            self._view.event(event.data)
            self._changed.set()

    async def _something_new(self) -> None:
        try:
            async with asyncio.timeout(_ASK_ANYWAY_AFTER_S):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_SETTLE_S)
        self._changed.clear()

    def _follow_newest(self, group: asyncio.TaskGroup, tasks: Sequence[TaskSummary]) -> None:
        """Follow the log of the task that was started last, if the view shows logs."""
        running = [task for task in tasks if task.state is TaskState.RUNNING]
        if not self._view.wants_log or not running:
            return
        newest = max(running, key=lambda task: (task.started_at is not None, task.started_at, task.id))
        if (newest.id, newest.attempt) == self._followed:
            return
        if self._follower is not None:
            self._follower.cancel()
        self._followed = (newest.id, newest.attempt)
        self._follower = group.create_task(self._show_log(newest))

    async def _show_log(self, task: TaskSummary) -> None:
        try:
            async for part in follow_log(self._hub, task.id, attempt=task.attempt):
                if not isinstance(part, LogEnd):
                    self._view.log(task, part)
        except DeborchError as error:
            self._view.log(task, f"(the log cannot be shown: {error})\n")
