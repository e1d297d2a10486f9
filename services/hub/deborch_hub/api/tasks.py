"""Tasks: one piece of work for one host, and why it waits."""

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.once import REQUEST_HEADERS, idempotency_of
from deborch_hub.api.paging import id_after, one_page
from deborch_hub.handlers.why import explain
from deborch_hub.store.reads.tasks import get_task, list_tasks
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Task, TaskCreate, TaskQuery, TaskRef, TaskSummary, Why
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import TaskId
from deborch_shared.security import Permission


class TaskRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, one = "/api/v1/tasks", "/api/v1/tasks/{task_id:int}"
        read, missing = Permission.TASK_READ, (ErrorCode.NOT_FOUND,)
        return [
            Route(
                "GET", path, self.browse, read, "List tasks, newest first", query=TaskQuery, response=Page[TaskSummary]
            ),
            Route(
                "POST",
                path,
                self.create,
                Permission.TASK_CREATE,
                "Start a no-op task, to try a host or the way to it",
                body=TaskCreate,
                response=TaskRef,
                status=201,
                request_headers=REQUEST_HEADERS,
            ),
            Route("GET", one, self.show, read, "One task with its attempts", response=Task, errors=missing),
            Route("GET", f"{one}/why", self.why, read, "Why a task is not running", response=Why, errors=missing),
            Route(
                "POST",
                f"{one}/cancel",
                self.cancel,
                Permission.BUILD_CANCEL,
                "Stop a task",
                response=Task,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION),
            ),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(TaskQuery)
        found = await list_tasks(self.deps.database, query, limit=query.limit + 1, before=id_after(query.cursor))
        return one_page(found, query.limit, lambda task: task.id)

    async def create(self, call: Call) -> web.Response:
        made = await self.deps.commands.create_task(call.body_as(TaskCreate), call.principal, idempotency_of(call))
        return respond(made, status=201, headers={"Location": f"/api/v1/tasks/{made.id}"})

    async def show(self, call: Call) -> web.Response:
        return respond(await get_task(self.deps.database, TaskId(call.path_int("task_id"))))

    async def why(self, call: Call) -> web.Response:
        return respond(await explain(self.deps.database, TaskId(call.path_int("task_id"))))

    async def cancel(self, call: Call) -> web.Response:
        task_id = TaskId(call.path_int("task_id"))
        await self.deps.commands.cancel_task(task_id, call.principal)
        return respond(await get_task(self.deps.database, task_id))
