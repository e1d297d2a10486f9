"""Artifacts: what tasks have made."""

from urllib.parse import quote

from aiohttp import web

from deborch_hub.api.blobs import send_blob
from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import RANGE_HEADERS
from deborch_hub.api.paging import id_after, one_page
from deborch_hub.store.reads.builds import get_artifact, list_artifacts
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Artifact, ArtifactQuery
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route
from deborch_shared.ids import Sha256
from deborch_shared.security import Permission


class ArtifactRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path = "/api/v1/artifacts"
        return [
            Route(
                "GET",
                path,
                self.browse,
                Permission.BUILD_READ,
                "List artifacts, newest first",
                query=ArtifactQuery,
                response=Page[Artifact],
            ),
            Route(
                "GET",
                f"{path}/{{artifact_id:int}}/content",
                self.download,
                Permission.BUILD_READ,
                "The file itself, under its own name",
                content_type="application/octet-stream",
                request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE),
            ),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(ArtifactQuery)
        found = await list_artifacts(self.deps.database, query, limit=query.limit + 1, before=id_after(query.cursor))
        return one_page(found, query.limit, lambda artifact: artifact.id)

    async def download(self, call: Call) -> web.StreamResponse:
        artifact = await get_artifact(self.deps.database, call.path_int("artifact_id"))
        disposition = f"attachment; filename*=UTF-8''{quote(artifact.name, safe='')}"
        return await send_blob(call.request, self.deps, Sha256(artifact.sha256), {"Content-Disposition": disposition})
