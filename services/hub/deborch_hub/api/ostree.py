"""The OSTree remote: public for clients, which verify commits by their signatures; written by composers."""

import asyncio
import re
from collections.abc import AsyncIterator

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import IMMUTABLE, RANGE_HEADERS, REVALIDATE, send_file
from deborch_hub.domain.ostree_objects import OBJECT_NAME
from deborch_hub.store.reads.composes import list_refs
from deborch_shared.contract.composes import MissingObjects, ObjectNames, ObjectsStored
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import PUBLIC, Permission

CONFIG = "[core]\nrepo_version=1\nmode=archive-z2\n"
_NAMES_LIMIT_BYTES = 8 << 20
_IDLE_TIMEOUT_S = 60.0
_OBJECT_PATH = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62}\.[a-z]+)")


class OstreeRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        return [
            Route(
                "POST", "/api/v1/ostree/missing", self.missing, Permission.COMPOSE_REPORT,
                "Which of these objects the remote lacks",
                body=MissingObjects, response=ObjectNames, body_limit_bytes=_NAMES_LIMIT_BYTES,
            ),
            Route(
                "PUT", "/api/v1/ostree/objects", self.receive, Permission.COMPOSE_REPORT,
                "Add objects: a tar with members CHECKSUM.TYPE, each verified",
                response=ObjectsStored, body_limit_bytes=None,
                errors=(
                    ErrorCode.INVALID_INPUT, ErrorCode.DIGEST_MISMATCH, ErrorCode.TOO_LARGE, ErrorCode.DISK_FULL,
                ),
            ),
        ]  # fmt: skip

    def files(self) -> list[Route]:
        """What `ostree` reads, as the archives' files are what APT reads."""
        missing = (ErrorCode.NOT_FOUND,)
        return [
            Route(
                "GET", "/ostree/config", self.config, PUBLIC, "What the remote is, for `ostree`",
                content_type="text/plain", answers_head=True,
            ),
            Route(
                "GET", "/ostree/refs/heads/{ref:path}", self.ref, PUBLIC, "The commit of a ref, for `ostree`",
                content_type="text/plain", errors=missing, answers_head=True,
            ),
            Route(
                "GET", "/ostree/objects/{path:path}", self.object, PUBLIC, "An object, for `ostree`",
                content_type="application/octet-stream", request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE), answers_head=True,
            ),
        ]  # fmt: skip

    async def missing(self, call: Call) -> web.Response:
        return respond(ObjectNames(objects=await self.deps.ostree.missing(call.body_as(MissingObjects).objects)))

    async def receive(self, call: Call) -> web.Response:
        stored, known = await self.deps.ostree.receive(_body(call.request))
        return respond(ObjectsStored(stored=stored, known=known))

    async def config(self, _: Call) -> web.Response:
        return web.Response(text=CONFIG, headers={"Cache-Control": REVALIDATE})

    async def ref(self, call: Call) -> web.Response:
        name = call.path("ref")
        found = await list_refs(self.deps.database, public_url="", limit=1, after=None, ref=name) if _sane(name) else []
        if not found:
            raise _not_here()
        return web.Response(text=f"{found[0].commit}\n", headers={"Cache-Control": REVALIDATE})

    async def object(self, call: Call) -> web.StreamResponse:
        matched = _OBJECT_PATH.fullmatch(call.path("path"))
        name = f"{matched[1]}{matched[2]}" if matched else ""
        if OBJECT_NAME.fullmatch(name) is None:
            raise _not_here()
        signed = name.endswith(".commitmeta")
        return await send_file(
            call.request,
            self.deps.ostree.path_of(name),
            content_type="application/octet-stream",
            cache_control=REVALIDATE if signed else IMMUTABLE,
            etag=None if signed else name,
        )


def _sane(name: str) -> bool:
    return "\0" not in name and len(name) <= 255


def _not_here() -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND, "the remote has no such file", hint="it has refs by name and objects, and no summary"
    )


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(_IDLE_TIMEOUT_S):
            chunk = await request.content.readany()
        if not chunk:
            return
        yield chunk
