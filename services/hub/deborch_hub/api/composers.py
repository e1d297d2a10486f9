"""Composers, and the schedules that give them work."""

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.paging import name_after, one_page
from deborch_hub.handlers.schedules import no_schedule
from deborch_hub.store.reads.composes import list_composers, list_schedules
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.contract.composes import (
    Composer,
    ComposerRegister,
    ComposerRegistration,
    Schedule,
    ScheduleChange,
    ScheduleCreate,
)
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import Permission

_SILENT_AFTER_S = 30.0


class ComposerRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        composers, schedules, one = "/api/v1/composers", "/api/v1/schedules", "/api/v1/schedules/{schedule}"
        read, write, missing = Permission.COMPOSE_READ, Permission.COMPOSE_SCHEDULE, (ErrorCode.NOT_FOUND,)
        return [
            Route("GET", composers, self.browse, read, "List composers", query=PageQuery, response=Page[Composer]),
            Route(
                "POST", composers, self.register, Permission.COMPOSER_REGISTER,
                "Register a composer at each of its starts",
                body=ComposerRegister, response=ComposerRegistration, errors=(ErrorCode.NAME_TAKEN,),
            ),
            Route("GET", schedules, self.schedules, read, "List schedules", query=PageQuery, response=Page[Schedule]),
            Route(
                "POST", schedules, self.create, write, "Ask for a compose again and again",
                body=ScheduleCreate, response=Schedule, status=201, errors=(*missing, ErrorCode.NAME_TAKEN),
            ),
            Route("GET", one, self.show, read, "One schedule", response=Schedule, errors=missing),
            Route(
                "POST", f"{one}/state", self.change, write, "Switch a schedule on or off",
                body=ScheduleChange, response=Schedule, errors=missing,
            ),
            Route("DELETE", one, self.delete, write, "Forget a schedule, not its composes", status=204, errors=missing),
        ]  # fmt: skip

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await list_composers(
            self.deps.database,
            limit=query.limit + 1,
            after=name_after(query.cursor),
            silent_after_s=_SILENT_AFTER_S,
        )
        return one_page(found, query.limit, lambda composer: composer.name)

    async def register(self, call: Call) -> web.Response:
        return respond(await self.deps.composes.register_composer(call.body_as(ComposerRegister), call.principal))

    async def schedules(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await list_schedules(self.deps.database, limit=query.limit + 1, after=name_after(query.cursor))
        return one_page(found, query.limit, lambda schedule: schedule.name)

    async def create(self, call: Call) -> web.Response:
        command = call.body_as(ScheduleCreate)
        await self.deps.composes.create_schedule(command, call.principal)
        return await self._answer(command.name, status=201)

    async def show(self, call: Call) -> web.Response:
        return await self._answer(call.path("schedule"))

    async def change(self, call: Call) -> web.Response:
        name = call.path("schedule")
        await self.deps.composes.change_schedule(name, call.body_as(ScheduleChange).enabled, call.principal)
        return await self._answer(name)

    async def delete(self, call: Call) -> web.Response:
        await self.deps.composes.delete_schedule(call.path("schedule"), call.principal)
        return web.Response(status=204)

    async def _answer(self, name: str, *, status: int = 200) -> web.Response:
        found = await list_schedules(self.deps.database, limit=1, after=None, name=name)
        if not found:
            raise no_schedule(name)
        return respond(found[0], status=status)
