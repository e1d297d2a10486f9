"""Builds: a source package on its way into a target's archive."""

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.once import REQUEST_HEADERS, idempotency_of
from deborch_hub.api.paging import id_after, one_page
from deborch_hub.store.reads.builds import get_build, list_builds
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Build, BuildCreate, BuildDetail, BuildQuery, GiveBack
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import BuildId
from deborch_shared.security import Permission


class BuildRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, one = "/api/v1/builds", "/api/v1/builds/{build_id:int}"
        return [
            Route(
                "GET",
                path,
                self.browse,
                Permission.BUILD_READ,
                "List builds, newest first",
                query=BuildQuery,
                response=Page[Build],
            ),
            Route(
                "POST",
                path,
                self.create,
                Permission.BUILD_CREATE,
                "Build an uploaded source package, or one of the target's Debian suite",
                body=BuildCreate,
                response=BuildDetail,
                status=201,
                request_headers=REQUEST_HEADERS,
                errors=(
                    ErrorCode.NOT_FOUND,
                    ErrorCode.VERSION_PRESENT,
                    ErrorCode.INVALID_SOURCE,
                    ErrorCode.INVALID_SIGNATURE,
                ),
            ),
            Route(
                "GET",
                one,
                self.show,
                Permission.BUILD_READ,
                "One build with its tasks",
                response=BuildDetail,
                errors=(ErrorCode.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{one}/cancel",
                self.cancel,
                Permission.BUILD_CANCEL,
                "Stop all tasks of a build",
                response=BuildDetail,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION),
            ),
            Route(
                "POST",
                f"{one}/giveback",
                self.give_back,
                Permission.BUILD_RETRY,
                "Try the unsuccessful tasks of a build again",
                body=GiveBack,
                response=BuildDetail,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION),
            ),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(BuildQuery)
        found = await list_builds(self.deps.database, query, limit=query.limit + 1, before=id_after(query.cursor))
        return one_page(found, query.limit, lambda build: build.id)

    async def create(self, call: Call) -> web.Response:
        build_id = await self.deps.commands.create_build(
            call.body_as(BuildCreate), call.principal, idempotency_of(call)
        )
        return await self._answer(build_id, status=201, headers={"Location": f"/api/v1/builds/{build_id}"})

    async def show(self, call: Call) -> web.Response:
        return await self._answer(BuildId(call.path_int("build_id")))

    async def cancel(self, call: Call) -> web.Response:
        build_id = BuildId(call.path_int("build_id"))
        await self.deps.commands.cancel_build(build_id, call.principal)
        return await self._answer(build_id)

    async def give_back(self, call: Call) -> web.Response:
        build_id = BuildId(call.path_int("build_id"))
        await self.deps.commands.give_back(build_id, call.body_as(GiveBack), call.principal)
        return await self._answer(build_id)

    async def _answer(
        self, build_id: BuildId, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        return respond(await get_build(self.deps.database, build_id), status=status, headers=headers)
