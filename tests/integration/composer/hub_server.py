"""The small hub of the builder's tests, with what a composer calls besides."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from aiohttp import web
from tests.integration.builder.hub_server import HubServer

from deborch_shared.contract.composes import ComposeOrder, TreeFileRef
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event, new_event
from deborch_shared.events.composes import ComposeRequested


@dataclass
class ComposeHubServer(HubServer):
    """A compose has one owner, until the test or a release takes it away."""

    composers: list[dict] = field(default_factory=list)
    orders: dict[int, ComposeOrder] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    phase_logs: dict[tuple[int, int, str], bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def wants(self, compose_id: int, files: Mapping[str, bytes]) -> Event:
        """A compose that waits, and the call for it."""
        refs = [TreeFileRef(path=path, sha256=self.keep(data), size_bytes=len(data)) for path, data in files.items()]
        self.orders[compose_id] = ComposeOrder(treefile=next(iter(files)), files=tuple(refs))
        return self.call_for(compose_id)

    def call_for(self, compose_id: int) -> Event:
        order = self.orders[compose_id].model_dump(mode="json")
        return new_event(ComposeRequested(compose_id=compose_id, name="x", owner="key:a", order=order), source="/hub")

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_post("/api/v1/composers", self._register_composer)
        app.router.add_post("/api/v1/composes/{compose}/claim", self._claim)
        app.router.add_put("/api/v1/composes/{compose}/attempts/{attempt}/logs/{phase}", self._phase_log)
        app.router.add_get("/api/v1/refs", self._refs)
        app.router.add_post("/api/v1/ostree/missing", self._missing)
        app.router.add_put("/api/v1/ostree/objects", self._objects)
        return app

    async def _register_composer(self, request: web.Request) -> web.Response:
        composer = orjson.loads(await request.read())
        self.composers.append(composer)
        answer = {
            "name": composer["name"], "queue": f"composer.{composer['name']}.commands", "lease_s": 60,
            "heartbeat_interval_s": self.heartbeat_interval_s,
        }  # fmt: skip
        return web.json_response(answer)

    async def _claim(self, request: web.Request) -> web.Response:
        compose_id = int(request.match_info["compose"])
        if compose_id in self.owners:
            raise DeborchError(ErrorCode.CONFLICT, f"compose {compose_id} waits for no composer")
        self.owners[compose_id] = orjson.loads(await request.read())["composer"]
        attempt = self.attempts[compose_id] = self.attempts.get(compose_id, 0) + 1
        grant = {
            "compose_id": compose_id, "attempt": attempt, "lease_s": 60, "reference": f"hub-{compose_id}",
            "order": self.orders[compose_id].model_dump(mode="json"),
        }  # fmt: skip
        return web.json_response(grant)

    async def _phase_log(self, request: web.Request) -> web.Response:
        where = request.match_info
        key = int(where["compose"]), int(where["attempt"]), where["phase"]
        offset, have = int(request.query["offset"]), self.phase_logs.get(key, b"")
        self.phase_logs[key] = have + (await request.read())[len(have) - offset :]
        return web.json_response({"size_bytes": len(self.phase_logs[key])})

    async def _refs(self, _: web.Request) -> web.Response:
        return web.json_response({"items": [], "next": None})

    async def _missing(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())["objects"]
        return web.json_response({"objects": [name for name in asked if name not in self.objects]})

    async def _objects(self, request: web.Request) -> web.Response:
        with tarfile.open(fileobj=io.BytesIO(await request.read())) as members:
            for member in members:
                file = members.extractfile(member)
                assert file is not None
                self.objects[member.name] = file.read()
        return web.json_response({"stored": 1, "known": 0})
