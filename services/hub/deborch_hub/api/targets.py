"""Targets: a Debian suite to build against, and an archive for the results."""

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.paging import name_after, one_page
from deborch_hub.store.reads.targets import get_target, list_targets
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.contract.targets import Target, TargetCreate
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import Permission


class TargetRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, read = "/api/v1/targets", Permission.TARGET_READ
        missing = (ErrorCode.NOT_FOUND,)
        return [
            Route("GET", path, self.browse, read, "List targets", query=PageQuery, response=Page[Target]),
            Route(
                "POST",
                path,
                self.create,
                Permission.TARGET_CREATE,
                "Make a target and its empty archive",
                body=TargetCreate,
                response=Target,
                status=201,
                errors=(ErrorCode.ALREADY_EXISTS,),
            ),
            Route("GET", f"{path}/{{target}}", self.show, read, "One target", response=Target, errors=missing),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await list_targets(
            self.deps.database,
            public_url=self.deps.public_url,
            limit=query.limit + 1,
            after=name_after(query.cursor),
        )
        return one_page(found, query.limit, lambda target: target.name)

    async def create(self, call: Call) -> web.Response:
        name = await self.deps.commands.create_target(call.body_as(TargetCreate), call.principal)
        target = await get_target(self.deps.database, name, public_url=self.deps.public_url)
        return respond(target, status=201, headers={"Location": f"/api/v1/targets/{name}"})

    async def show(self, call: Call) -> web.Response:
        name = call.path("target")
        return respond(await get_target(self.deps.database, name, public_url=self.deps.public_url))
