"""A small hub and auth over HTTP in one aiohttp application: what a builder calls, with rules as simple as they go."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import serve
from deborch_shared.http.problem import problem_response

ENROLMENT_TOKEN = "deborch_enrol_00_once"
API_KEY = "deborch_host_0a_secret"


@dataclass
class HubServer:
    """State that tests set and look at."""

    url: str = ""
    port: int = 0
    enrolled: list[str] = field(default_factory=list)
    tokens: int = 0
    refuse_tokens: set[str] = field(default_factory=set)
    hosts: list[dict] = field(default_factory=list)
    taken_names: set[str] = field(default_factory=set)
    heartbeat_interval_s: float = 0.2
    logs: dict[tuple[int, int], bytes] = field(default_factory=dict)
    over: set[tuple[int, int]] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)
    partial: dict[str, bytes] = field(default_factory=dict)
    cut_uploads_after_bytes: int | None = None
    cut_downloads_after_bytes: int | None = None
    ranges: list[str] = field(default_factory=list)
    unavailable: bool = False

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._problems], client_max_size=1 << 30)
        app.router.add_post("/api/v1/enrol", self._enrol)
        app.router.add_post("/api/v1/token", self._token)
        app.router.add_post("/api/v1/hosts", self._register)
        app.router.add_put("/api/v1/tasks/{task}/attempts/{attempt}/log", self._log)
        app.router.add_route("HEAD", "/api/v1/blobs/{sha256}", self._look)
        app.router.add_get("/api/v1/blobs/{sha256}", self._download, allow_head=False)
        app.router.add_put("/api/v1/blobs/{sha256}", self._upload)
        return app

    @web.middleware
    async def _problems(self, request: web.Request, handler) -> web.StreamResponse:
        try:
            self._admit(request)
            return await handler(request)
        except DeborchError as error:
            return problem_response(error, "request-1")

    def _admit(self, request: web.Request) -> None:
        if self.unavailable:
            raise DeborchError(ErrorCode.DATABASE_UNAVAILABLE, "the database is away")
        if request.path in {"/api/v1/enrol", "/api/v1/token"}:
            return
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token.startswith("token-") or token in self.refuse_tokens:
            raise DeborchError(ErrorCode.UNAUTHENTICATED, "the token is not valid")

    async def _enrol(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if body["enrolment_token"] != ENROLMENT_TOKEN or self.enrolled:
            raise DeborchError(ErrorCode.UNAUTHENTICATED, "the enrolment token is not known")
        self.enrolled.append(body["host"])
        moment = "2030-01-01T00:00:00Z"
        answer = {
            "id": "0a", "name": body["host"], "prefix": "deborch_host_0a", "role": "builder", "scopes": [],
            "created_at": moment, "created_by": "key:admin", "expires_at": None, "last_used_at": None,
            "revoked_at": None, "api_key": API_KEY,
        }  # fmt: skip
        return web.json_response(answer, status=201)

    async def _token(self, request: web.Request) -> web.Response:
        if orjson.loads(await request.read())["api_key"] != API_KEY:
            raise DeborchError(ErrorCode.UNAUTHENTICATED, "the key is not known")
        self.tokens += 1
        return web.json_response({"access_token": f"token-{self.tokens}", "expires_in_s": 600})

    async def _register(self, request: web.Request) -> web.Response:
        host = orjson.loads(await request.read())
        if host["name"] in self.taken_names:
            raise DeborchError(ErrorCode.NAME_TAKEN, f"the host name {host['name']} belongs to another builder")
        self.hosts.append(host)
        answer = {
            "id": 1, "name": host["name"], "queue": f"host.{host['name']}", "lease_s": 60,
            "heartbeat_interval_s": self.heartbeat_interval_s,
        }  # fmt: skip
        return web.json_response(answer)

    async def _log(self, request: web.Request) -> web.Response:
        key = int(request.match_info["task"]), int(request.match_info["attempt"])
        offset, chunk = int(request.query["offset"]), await request.read()
        if key in self.over:
            raise DeborchError(ErrorCode.CONFLICT, "the attempt is over", task_state="canceled")
        have = self.logs.get(key, b"")
        if offset > len(have):
            raise DeborchError(ErrorCode.CONFLICT, "there is a gap", size_bytes=len(have))
        self.logs[key] = have + chunk[len(have) - offset :]
        return web.json_response({"size_bytes": len(self.logs[key])})

    async def _look(self, request: web.Request) -> web.Response:
        sha256 = request.match_info["sha256"]
        if sha256 in self.blobs:
            return web.Response(headers={"Content-Length": str(len(self.blobs[sha256]))})
        return web.Response(status=404, headers={"Upload-Offset": str(len(self.partial.get(sha256, b"")))})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range", "")
        self.ranges.append(asked)
        offset = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        content = self.blobs[request.match_info["sha256"]]
        response = web.StreamResponse(status=206 if asked else 200)
        response.content_length = len(content) - offset
        await response.prepare(request)
        if self.cut_downloads_after_bytes is not None:
            await response.write(content[offset : self.cut_downloads_after_bytes])
            self.cut_downloads_after_bytes = None
            _cut(request)
        await response.write(content[offset:])
        return response

    async def _upload(self, request: web.Request) -> web.Response:
        sha256 = request.match_info["sha256"]
        received = bytearray(self.partial.get(sha256, b""))
        if int(request.headers["Upload-Offset"]) != len(received):
            raise DeborchError(ErrorCode.CONFLICT, "the upload stands elsewhere", offset=len(received))
        async for chunk in request.content.iter_any():
            received += chunk
            self.partial[sha256] = bytes(received)
            if self.cut_uploads_after_bytes is not None and len(received) >= self.cut_uploads_after_bytes:
                self.cut_uploads_after_bytes = None
                _cut(request)
        if len(received) < int(request.headers["Upload-Length"]):
            return web.json_response({}, status=202)
        del self.partial[sha256]
        if hashlib.sha256(received).hexdigest() != sha256:
            raise DeborchError(ErrorCode.DIGEST_MISMATCH, "the blob has another digest")
        self.blobs[sha256] = bytes(received)
        return web.json_response({}, status=201)


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError("cut by the test")


@asynccontextmanager
async def serving(server: HubServer) -> AsyncIterator[HubServer]:
    """`server` on its port, a free one the first time."""
    async with serve(server.application(), "127.0.0.1", server.port) as port:
        server.port, server.url = port, f"http://127.0.0.1:{port}"
        yield server
