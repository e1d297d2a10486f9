"""A hub and an auth service in one small server, held in memory: what the command line says and gets is seen here.

It answers with the contract's own models, and can be told to break connections off.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web
from pydantic import BaseModel

from deborch_shared.contract.auth import AccessToken, EnrolmentToken, WhoAmI
from deborch_shared.contract.builds import Artifact, BuildCreate, BuildDetail, Task, TaskRef, Why
from deborch_shared.contract.hosts import Host
from deborch_shared.contract.states import TaskState
from deborch_shared.contract.targets import Archive, Target, TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http.problem import problem_response

API_KEY = "dbo.test.secret"
_POLL_S = 0.01
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeServices:
    """State that a test sets and reads; the server lives in a thread of its own."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.builds: dict[int, BuildDetail] = {}
        self.tasks: dict[int, Task] = {}
        self.hosts: dict[str, Host] = {}
        self.archives: dict[str, Archive] = {}
        self.artifacts: list[Artifact] = []
        self.whys: dict[int, Why] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.logs: dict[int | tuple[int, int], bytes] = {}
        """By task, or by task and attempt."""
        self.finished_logs: set[int | tuple[int, int]] = set()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.created: list[BuildCreate] = []
        self.requests: list[str] = []
        self.resumed_from: list[str] = []
        self.valid_token = "token-1"
        self.tokens_sold = 0
        self.break_upload_after_bytes: int | None = None
        self.break_download_after_bytes: int | None = None
        self.break_streams = 0
        self.replies: dict[str, BaseModel | list[BaseModel]] = {}
        """`METHOD PATH` below /api/v1: what is answered there, a list as one page."""
        self.bodies: list[tuple[str, dict[str, object]]] = []
        """What was sent to `replies`."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def announce(self, kind: str, **data: object) -> None:
        """Let an event happen."""
        self.events.append((f"1-{len(self.events) + 1}", {"type": kind, "time": _now().isoformat(), "data": data}))

    def add_target(self, name: str = "bookworm") -> None:
        self.targets[name] = _target(TargetCreate(name=name, suite=name, architectures=("amd64",)))

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._application(), shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._admit], client_max_size=0)
        api, one_task = "/api/v1", "/api/v1/tasks/{id:[0-9]+}"
        routes: list[tuple[str, str, Handler]] = [
            ("POST", f"{api}/token", self._sell_token),
            ("GET", f"{api}/whoami", self._whoami),
            ("POST", f"{api}/enrolments", self._enrolment),
            ("GET", f"{api}/targets", lambda _: _page(self.targets.values())),
            ("POST", f"{api}/targets", self._create_target),
            ("GET", f"{api}/targets/{{name}}", lambda request: _one(self.targets, request.match_info["name"])),
            ("GET", f"{api}/hosts", lambda _: _page(self.hosts.values())),
            ("POST", f"{api}/hosts/{{name}}/state", self._change_host),
            ("GET", f"{api}/archives/{{name}}", lambda request: _one(self.archives, request.match_info["name"])),
            ("GET", f"{api}/archives/{{name}}/sources", lambda _: _text("Types: deb\n")),
            ("GET", f"{api}/builds", self._list_builds),
            ("POST", f"{api}/builds", self._create_build),
            ("GET", f"{api}/builds/{{id}}", lambda request: _one(self.builds, int(request.match_info["id"]))),
            ("POST", f"{api}/tasks", lambda _: _model(TaskRef(id=1, state=TaskState.FREE), 201)),
            ("GET", one_task, lambda request: _one(self.tasks, int(request.match_info["id"]))),
            ("GET", f"{one_task}/why", lambda request: _one(self.whys, int(request.match_info["id"]))),
            ("GET", f"{one_task}/log", self._log),
            ("GET", f"{one_task}/log/stream", self._log_stream),
            ("GET", f"{api}/artifacts", lambda _: _page(self.artifacts)),
            ("HEAD", f"{api}/blobs/{{sha256}}", self._look_at_blob),
            ("GET", f"{api}/blobs/{{sha256}}", self._send_blob),
            ("PUT", f"{api}/blobs/{{sha256}}", self._take_blob),
            ("GET", f"{api}/events", self._event_stream),
            ("*", f"{api}/{{rest:.*}}", self._reply),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, _coroutine(handler))
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        try:
            self._check_token(request)
            return await handler(request)
        except DeborchError as error:
            return problem_response(error, "r1")

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not request.path.endswith("/token") and given != f"Bearer {self.valid_token}":
            raise DeborchError(ErrorCode.UNAUTHENTICATED, "the token is not valid", hint="run `deborch login`")

    async def _sell_token(self, request: web.Request) -> web.Response:
        if (await request.json()) != {"api_key": API_KEY}:
            raise DeborchError(ErrorCode.UNAUTHENTICATED, "the API key is not valid", hint="run `deborch login`")
        self.tokens_sold += 1
        return await _model(AccessToken(access_token=self.valid_token, expires_in_s=600))

    async def _whoami(self, _: web.Request) -> web.Response:
        who = WhoAmI(subject="key:1", roles=("admin",), permissions=("build:read",), host=None, expires_at=None)
        return await _model(who)

    async def _enrolment(self, request: web.Request) -> web.Response:
        host = (await request.json())["host"]
        return await _model(EnrolmentToken(host=host, enrolment_token="once-only", expires_at=_now()), 201)

    async def _create_target(self, request: web.Request) -> web.Response:
        wanted = TargetCreate.model_validate_json(await request.read())
        if wanted.name in self.targets:
            raise DeborchError(ErrorCode.ALREADY_EXISTS, f"target {wanted.name} exists", hint="choose another name")
        self.targets[wanted.name] = _target(wanted)
        return await _model(self.targets[wanted.name], 201)

    async def _change_host(self, request: web.Request) -> web.Response:
        name, state = request.match_info["name"], (await request.json())["state"]
        self.hosts[name] = self.hosts[name].model_copy(update={"state": state})
        return await _model(self.hosts[name])

    async def _list_builds(self, request: web.Request) -> web.Response:
        """Pages of two at most, so that following `next` is seen to work."""
        after = int(request.query.get("cursor", "0"))
        found = sorted(self.builds.values(), key=lambda build: -build.id)[after : after + 2]
        following = str(after + 2) if after + 2 < len(self.builds) else None
        return web.json_response({"items": [item.model_dump(mode="json") for item in found], "next": following})

    async def _create_build(self, request: web.Request) -> web.Response:
        assert request.headers["Idempotency-Key"]
        wanted = BuildCreate.model_validate_json(await request.read())
        self.created.append(wanted)
        return await _model(self.builds[max(self.builds)], 201)

    async def _reply(self, request: web.Request) -> web.Response:
        asked = f"{request.method} {request.match_info['rest']}"
        if asked not in self.replies:
            raise DeborchError(ErrorCode.NOT_FOUND, f"there is no {asked}", hint="list what there is")
        if body := await request.read():
            self.bodies.append((asked, json.loads(body)))
        reply = self.replies[asked]
        return await (_page(reply) if isinstance(reply, list) else _model(reply))

    async def _log(self, request: web.Request) -> web.Response:
        task = int(request.match_info["id"])
        complete = "true" if task in self.finished_logs else "false"
        return web.Response(body=self.logs[task], headers={"X-Log-Complete": complete})

    async def _log_stream(self, request: web.Request) -> web.StreamResponse:
        task, offset = int(request.match_info["id"]), int(request.query["offset"])
        attempt = int(request.query.get("attempt", "1"))
        self.resumed_from.append(str(offset))
        response = await _open_stream(request)
        while not self._breaks(response):
            log = self.logs.get((task, attempt), self.logs.get(task, b""))
            if len(log) > offset:
                data = json.dumps({"offset": offset, "text": log[offset:].decode("utf-8", "replace")})
                offset = len(log)
                await response.write(f"id: {offset}\nevent: chunk\ndata: {data}\n\n".encode())
            elif self.finished_logs & {task, (task, attempt)}:
                end = json.dumps({"state": self.tasks[task].state, "attempt": attempt})
                await response.write(f"event: end\ndata: {end}\n\n".encode())
                break
            await asyncio.sleep(_POLL_S)
        return response

    async def _event_stream(self, request: web.Request) -> web.StreamResponse:
        seen = request.headers.get("Last-Event-ID", "")
        self.resumed_from.append(seen)
        response = await _open_stream(request)
        follow = request.query.get("follow") != "false"
        sent = int(seen.partition("-")[2]) if seen else len(self.events) if follow else 0
        while not self._breaks(response):
            for event_id, event in self.events[sent:]:
                frame = f"id: {event_id}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
                await response.write(frame.encode())
            sent = len(self.events)
            if not follow:
                break
            await asyncio.sleep(_POLL_S)
        return response

    def _breaks(self, response: web.StreamResponse) -> bool:
        if self.break_streams == 0:
            return False
        self.break_streams -= 1
        return True

    async def _look_at_blob(self, request: web.Request) -> web.Response:
        digest = request.match_info["sha256"]
        if digest in self.blobs:
            return web.Response(headers={"Content-Length": str(len(self.blobs[digest]))})
        return web.Response(status=404, headers={"Upload-Offset": str(len(self.parts.get(digest, b"")))})

    async def _send_blob(self, request: web.Request) -> web.StreamResponse:
        content = self.blobs[request.match_info["sha256"]]
        start = request.http_range.start or 0
        response = web.StreamResponse(
            status=206 if start else 200, headers={"Content-Length": str(len(content) - start)}
        )
        await response.prepare(request)
        if self.break_download_after_bytes is not None:
            await response.write(content[start : start + self.break_download_after_bytes])
            self.break_download_after_bytes = None
            assert request.transport is not None
            request.transport.close()
        else:
            await response.write(content[start:])
        return response

    async def _take_blob(self, request: web.Request) -> web.Response:
        digest, length = request.match_info["sha256"], int(request.headers["Upload-Length"])
        part, offset = self.parts.get(digest, b""), int(request.headers.get("Upload-Offset", "0"))
        if offset != len(part):
            raise DeborchError(ErrorCode.CONFLICT, "not the right offset", offset=len(part))
        async for chunk in request.content.iter_any():
            part += chunk
            if self.break_upload_after_bytes is not None and len(part) >= self.break_upload_after_bytes:
                self.parts[digest], self.break_upload_after_bytes = part, None
                assert request.transport is not None
                request.transport.close()
                return web.Response()
        if len(part) == length and hashlib.sha256(part).hexdigest() != digest:
            raise DeborchError(ErrorCode.DIGEST_MISMATCH, "the content has another digest")
        self.parts.pop(digest, None)
        self.blobs[digest] = part
        return web.Response(status=201)


def _coroutine(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return handle


def _now() -> datetime:
    return datetime.now(UTC)


def _target(wanted: TargetCreate) -> Target:
    return Target(**wanted.model_dump(), archive_url=f"http://hub.test/archives/{wanted.name}", created_at=_now())


async def _open_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


async def _model(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


async def _text(text: str) -> web.Response:
    return web.Response(text=text)


async def _page(items: object) -> web.Response:
    return web.json_response({"items": [item.model_dump(mode="json") for item in items], "next": None})  # type: ignore[attr-defined]


async def _one(things: dict, name: object) -> web.Response:  # type: ignore[type-arg]
    if name not in things:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no {name}", hint="list what there is")
    return await _model(things[name])


def later(services: FakeServices, *steps: Callable[[], None], every_s: float = 0.4) -> threading.Thread:
    """Let things happen one after another while a command looks on."""

    def play() -> None:
        for step in steps:
            time.sleep(every_s)
            step()
            services.announce("task.changed", build_id=1)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread
