"""Blobs: files by their SHA-256, uploaded in as many goes as it takes."""

import asyncio
import re
from collections.abc import AsyncIterator

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import IMMUTABLE, RANGE_HEADERS, send_file
from deborch_hub.store.reads.builds import recorded_blob_size
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import Sha256
from deborch_shared.security import Permission

UPLOAD_OFFSET = "Upload-Offset"
UPLOAD_LENGTH = "Upload-Length"
_UPLOAD_HEADERS = {
    UPLOAD_LENGTH: "Required: the size of the whole blob in bytes",
    UPLOAD_OFFSET: "Go on from here; must be what HEAD says is there. Left out: from the start",
}
_IDLE_TIMEOUT_S = 60.0
"""An upload from which nothing comes for so long counts as broken off."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")


class BlobRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        path, octets = "/api/v1/blobs/{sha256}", "application/octet-stream"
        return [
            Route(
                "HEAD",
                path,
                self.look,
                Permission.BLOB_READ,
                "Whether a blob is whole; if not, 404 with Upload-Offset: how much of it is there",
                content_type=octets,
            ),
            Route(
                "GET",
                path,
                self.download,
                Permission.BLOB_READ,
                "The contents of a blob",
                content_type=octets,
                request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE),
            ),
            Route(
                "PUT",
                path,
                self.upload,
                Permission.BLOB_WRITE,
                "Upload a blob or the next part of it: 201 when it is whole, 202 with Upload-Offset when it is not yet",
                status=201,
                body_limit_bytes=None,
                request_headers=_UPLOAD_HEADERS,
                errors=(ErrorCode.CONFLICT, ErrorCode.DIGEST_MISMATCH, ErrorCode.TOO_LARGE, ErrorCode.DISK_FULL),
            ),
        ]

    async def look(self, call: Call) -> web.StreamResponse:
        sha256 = _digest_in(call)
        size = self.deps.blobs.size_of(sha256)
        if size is None or await recorded_blob_size(self.deps.database, sha256) is None:
            received = self.deps.blobs.received(sha256) if size is None else 0
            return web.Response(status=404, headers={UPLOAD_OFFSET: str(received)})
        response = web.StreamResponse(headers={"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})
        response.content_type = "application/octet-stream"
        response.content_length = size
        await response.prepare(call.request)
        return response

    async def download(self, call: Call) -> web.StreamResponse:
        return await send_blob(call.request, self.deps, _digest_in(call))

    async def upload(self, call: Call) -> web.StreamResponse:
        sha256, length = _digest_in(call), _number_in(call, UPLOAD_LENGTH)
        if length is None:
            raise DeborchError(
                ErrorCode.INVALID_INPUT, f"{UPLOAD_LENGTH} is missing", hint="send the size of the whole file in it"
            )
        offset = _number_in(call, UPLOAD_OFFSET)
        sent = call.request.content_length
        if sent is not None and (offset or 0) + sent > length:
            raise DeborchError(
                ErrorCode.TOO_LARGE,
                f"{sent} bytes from {offset or 0} on are more than {UPLOAD_LENGTH} announces ({length})",
            )
        here = await self.deps.blobs.receive(sha256, _body(call.request), offset=offset, length=length)
        headers = {UPLOAD_OFFSET: str(here)}
        if here < length:
            return respond({"sha256": sha256, "size_bytes": here}, status=202, headers=headers)
        await self.deps.commands.record_blob(sha256, length)
        return respond({"sha256": sha256, "size_bytes": length}, status=201, headers=headers)


async def send_blob(
    request: web.Request, deps: ApiDeps, sha256: Sha256, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """A blob as a response; its digest is its ETag."""
    return await send_file(
        request,
        deps.blobs.path_of(sha256),
        content_type="application/octet-stream",
        cache_control=IMMUTABLE,
        etag=sha256,
        headers=headers,
    )


def _digest_in(call: Call) -> Sha256:
    text = call.path("sha256")
    if _SHA256.fullmatch(text) is None:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "the name of a blob is its SHA-256 in 64 lower-case hexadecimal digits",
            hint="compute it with sha256sum",
        )
    return Sha256(text)


def _number_in(call: Call, header: str) -> int | None:
    text = call.request.headers.get(header)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise DeborchError(ErrorCode.INVALID_INPUT, f"{header} is not a number of bytes")
    return int(text)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(_IDLE_TIMEOUT_S):
            chunk = await request.content.readany()
        if not chunk:
            return
        yield chunk
