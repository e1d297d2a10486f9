"""Hosts: the builders, what they have, what they run."""

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.paging import name_after, one_page
from deborch_hub.store.reads.hosts import get_host, list_hosts
from deborch_shared.contract.base import Page
from deborch_shared.contract.hosts import Host, HostChange, HostQuery, HostRegister, HostRegistration
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import Permission


class HostRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, one, read = "/api/v1/hosts", "/api/v1/hosts/{host}", Permission.HOST_READ
        missing = (ErrorCode.NOT_FOUND,)
        return [
            Route("GET", path, self.browse, read, "List hosts", query=HostQuery, response=Page[Host]),
            Route(
                "POST",
                path,
                self.register,
                Permission.HOST_REGISTER,
                "Register a builder at each of its starts",
                body=HostRegister,
                response=HostRegistration,
                errors=(ErrorCode.NAME_TAKEN,),
            ),
            Route("GET", one, self.show, read, "One host", response=Host, errors=missing),
            Route(
                "POST",
                f"{one}/state",
                self.change,
                Permission.HOST_MANAGE,
                "Enable, disable or drain a host",
                body=HostChange,
                response=Host,
                errors=missing,
            ),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(HostQuery)
        found = await list_hosts(
            self.deps.database, limit=query.limit + 1, after=name_after(query.cursor), state=query.state
        )
        return one_page(found, query.limit, lambda host: host.name)

    async def register(self, call: Call) -> web.Response:
        return respond(await self.deps.commands.register_host(call.body_as(HostRegister), call.principal))

    async def show(self, call: Call) -> web.Response:
        return respond(await get_host(self.deps.database, call.path("host")))

    async def change(self, call: Call) -> web.Response:
        name = call.path("host")
        await self.deps.commands.change_host(name, call.body_as(HostChange).state, call.principal)
        return respond(await get_host(self.deps.database, name))
