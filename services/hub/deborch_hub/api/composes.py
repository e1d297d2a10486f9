"""Composes: a treefile on its way to images."""

from pathlib import Path
from urllib.parse import quote

import orjson
from aiohttp import web

from deborch_hub.api.blobs import send_blob
from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import RANGE_HEADERS
from deborch_hub.api.once import REQUEST_HEADERS, idempotency_of
from deborch_hub.api.paging import id_after, name_after, one_page
from deborch_hub.domain.compose_diff import Packages, output_changes, packages_by_target, target_diffs
from deborch_hub.store.disk import in_thread
from deborch_hub.store.reads.composes import get_compose, get_output, list_composes, list_outputs
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.contract.composes import (
    Compose,
    ComposeClaim,
    ComposeCreate,
    ComposeDiff,
    ComposeGrant,
    ComposeOutputFile,
    ComposeQuery,
    ComposeSummary,
)
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import ComposeId, Sha256
from deborch_shared.security import Permission

_MOST_OUTPUTS = 100_000
_PACKAGES = "packages.json"


class ComposeRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, one, read = "/api/v1/composes", "/api/v1/composes/{compose_id:int}", Permission.COMPOSE_READ
        missing, moved = (ErrorCode.NOT_FOUND,), (ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION)
        return [
            Route(
                "GET", path, self.browse, read, "List composes, newest first",
                query=ComposeQuery, response=Page[ComposeSummary],
            ),
            Route(
                "POST", path, self.create, Permission.COMPOSE_CREATE, "Compose a treefile whose files are uploaded",
                body=ComposeCreate, response=Compose, status=201, request_headers=REQUEST_HEADERS, errors=missing,
            ),
            Route("GET", one, self.show, read, "One compose with its phases", response=Compose, errors=missing),
            Route(
                "POST", f"{one}/cancel", self.cancel, Permission.COMPOSE_CANCEL, "Stop a compose",
                response=Compose, errors=moved,
            ),
            Route(
                "POST", f"{one}/resume", self.resume, Permission.COMPOSE_CREATE,
                "Go on with a compose that failed or was canceled", response=Compose, errors=moved,
            ),
            Route(
                "POST", f"{one}/claim", self.claim, Permission.COMPOSE_REPORT,
                "Become the one owner of a compose that waits for a composer",
                body=ComposeClaim, response=ComposeGrant, errors=(ErrorCode.NOT_FOUND, ErrorCode.CONFLICT),
            ),
            Route(
                "GET", f"{one}/outputs", self.outputs, read, "The files that a compose made, by path",
                query=PageQuery, response=Page[ComposeOutputFile], errors=missing,
            ),
            Route(
                "GET", f"{one}/outputs/{{path:path}}", self.download, read, "One of its files",
                content_type="application/octet-stream", request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE), answers_head=True,
            ),
            Route(
                "GET", f"{one}/diff/{{other_id:int}}", self.diff, read,
                "What differs from a compose to another one: packages, commits, files",
                response=ComposeDiff, errors=missing,
            ),
        ]  # fmt: skip

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(ComposeQuery)
        found = await list_composes(self.deps.database, query, limit=query.limit + 1, before=id_after(query.cursor))
        return one_page(found, query.limit, lambda compose: compose.id)

    async def create(self, call: Call) -> web.Response:
        compose_id = await self.deps.composes.create_compose(
            call.body_as(ComposeCreate), call.principal, idempotency_of(call)
        )
        return await self._answer(compose_id, status=201, headers={"Location": f"/api/v1/composes/{compose_id}"})

    async def show(self, call: Call) -> web.Response:
        return await self._answer(_compose_in(call))

    async def cancel(self, call: Call) -> web.Response:
        compose_id = _compose_in(call)
        await self.deps.composes.cancel_compose(compose_id, call.principal)
        return await self._answer(compose_id)

    async def resume(self, call: Call) -> web.Response:
        compose_id = _compose_in(call)
        await self.deps.composes.resume_compose(compose_id, call.principal)
        return await self._answer(compose_id)

    async def claim(self, call: Call) -> web.Response:
        composer = call.body_as(ComposeClaim).composer
        return respond(await self.deps.composes.claim_compose(_compose_in(call), composer, call.principal))

    async def outputs(self, call: Call) -> web.Response:
        query, compose_id = call.query_as(PageQuery), _compose_in(call)
        await get_compose(self.deps.database, compose_id)
        found = await list_outputs(
            self.deps.database, compose_id, limit=query.limit + 1, after=name_after(query.cursor)
        )
        return one_page(found, query.limit, lambda output: output.path)

    async def download(self, call: Call) -> web.StreamResponse:
        output = await get_output(self.deps.database, _compose_in(call), call.path("path"))
        name = quote(output.path.rpartition("/")[2], safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return await send_blob(call.request, self.deps, Sha256(output.sha256), headers)

    async def diff(self, call: Call) -> web.Response:
        before = await get_compose(self.deps.database, _compose_in(call))
        after = await get_compose(self.deps.database, call.path_int("other_id"))
        files_before, files_after = await self._files(before), await self._files(after)
        answer = ComposeDiff(
            before=before.id,
            after=after.id,
            targets=target_diffs(
                await self._packages(files_before),
                await self._packages(files_after),
                _commits(before),
                _commits(after),
            ),
            outputs=output_changes(_sizes(files_before), _sizes(files_after)),
        )
        return respond(answer)

    async def _files(self, compose: Compose) -> list[ComposeOutputFile]:
        return await list_outputs(self.deps.database, compose.id, limit=_MOST_OUTPUTS, after=None)

    async def _packages(self, files: list[ComposeOutputFile]) -> dict[str, Packages]:
        found: dict[str, Packages] = {}
        for file in files:
            if file.path.rpartition("/")[2] == _PACKAGES:
                found.update(await in_thread(_read_packages, self.deps.blobs.path_of(Sha256(file.sha256))))
        return found

    async def _answer(
        self, compose_id: ComposeId, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        return respond(await get_compose(self.deps.database, compose_id), status=status, headers=headers)


def _read_packages(path: Path) -> dict[str, Packages]:
    document = orjson.loads(path.read_bytes())
    return packages_by_target(document) if isinstance(document, dict) else {}


def _compose_in(call: Call) -> ComposeId:
    return ComposeId(call.path_int("compose_id"))


def _commits(compose: Compose) -> dict[str, str]:
    return {f"{commit.variant}.{commit.architecture}": commit.commit for commit in compose.commits}


def _sizes(files: list[ComposeOutputFile]) -> dict[str, tuple[str, int]]:
    return {file.path: (file.sha256, file.size_bytes) for file in files}
