"""A composer whose every move the test decides."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.integration.hub.harness import ADMIN, Replica

from deborch_hub.handlers.compose_hub import ComposeHub
from deborch_shared.bus import COMPOSER_REQUESTS, Bus, composer_queue, publications
from deborch_shared.clock import SystemClock
from deborch_shared.contract.composes import ComposeCreate, ComposeGrant, ComposerRegister, TreeFileRef
from deborch_shared.events import Event, EventData, new_event
from deborch_shared.events.composes import (
    CancelCompose,
    ComposeDone,
    ComposeRequested,
    ComposerHeartbeat,
    RunningCompose,
    RunningPhase,
)
from deborch_shared.ids import ComposeId, Sha256
from deborch_shared.security import Principal, Role

TREEFILE = b"name: minimal\n"


def commands_of(replica: Replica) -> ComposeHub:
    return ComposeHub(replica.context, SystemClock())


async def stored(replica: Replica, content: bytes) -> tuple[str, int]:
    """`content` as a blob."""

    async def chunks():
        yield content

    sha256 = Sha256(hashlib.sha256(content).hexdigest())
    await replica.process.blobs.receive(sha256, chunks(), offset=None, length=len(content))
    await replica.hub.record_blob(sha256, len(content))
    return sha256, len(content)


async def wanted(replica: Replica, **changes: Any) -> ComposeCreate:
    sha256, size_bytes = await stored(replica, TREEFILE)
    files = (TreeFileRef(path="minimal.yaml", sha256=sha256, size_bytes=size_bytes),)
    return ComposeCreate(**{"name": "minimal", "treefile": "minimal.yaml", "files": files, **changes})


async def asked_for(replica: Replica, **changes: Any) -> ComposeId:
    return await commands_of(replica).create_compose(await wanted(replica, **changes), ADMIN, None)


@dataclass
class PlayedComposer:
    """Takes requests from the shared queue and commands from its own."""

    name: str
    bus: Bus
    requests: "asyncio.Queue[ComposeRequested]" = field(default_factory=asyncio.Queue)
    cancels: "asyncio.Queue[CancelCompose]" = field(default_factory=asyncio.Queue)

    @property
    def principal(self) -> Principal:
        return Principal(f"host:{self.name}", frozenset({Role.COMPOSER}), host=self.name)

    async def request(self, within_s: float = 10) -> ComposeRequested:
        async with asyncio.timeout(within_s):
            return await self.requests.get()

    async def claim(self, at: Replica, compose_id: int) -> ComposeGrant:
        return await commands_of(at).claim_compose(ComposeId(compose_id), self.name, self.principal)

    async def say(self, *data: EventData) -> None:
        for item in data:
            await self.bus.publish(publications([new_event(item, source=f"/composer/{self.name}")]))

    def of(self, grant: ComposeGrant) -> dict[str, Any]:
        return {"compose_id": grant.compose_id, "attempt": grant.attempt, "composer": self.name}

    async def beat(self, grant: ComposeGrant, *phases: RunningPhase) -> None:
        running = RunningCompose(compose_id=grant.compose_id, attempt=grant.attempt, phases=phases)
        await self.say(ComposerHeartbeat(composer=self.name, running=(running,)))

    async def finish(self, grant: ComposeGrant, **changes: Any) -> None:
        await self.say(ComposeDone(**self.of(grant), **{"outcome": "finished", **changes}))


async def start_composer(stack: Any, amqp_url: str, at: Replica, name: str = "c1") -> PlayedComposer:
    """Register it at a replica and listen, one request at a time."""
    composer = PlayedComposer(name, Bus(amqp_url, name=name))

    async def take(events: "list[Event]") -> None:
        for event in events:
            if isinstance(event.data, ComposeRequested):
                composer.requests.put_nowait(event.data)
            elif isinstance(event.data, CancelCompose):
                composer.cancels.put_nowait(event.data)

    composer.bus.consume(COMPOSER_REQUESTS, take, prefetch=1)  # type: ignore[arg-type]
    composer.bus.consume(composer_queue(name), take)  # type: ignore[arg-type]
    running = asyncio.create_task(composer.bus.run())

    async def stop() -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    stack.push_async_callback(stop)
    await composer.bus.wait_connected()
    await commands_of(at).register_composer(ComposerRegister(name=name, architectures=("amd64",)), composer.principal)
    return composer


async def until(replica: Replica, compose_id: int, *states: str, within_s: float = 10) -> dict[str, Any]:
    """The compose once it is in one of `states`."""
    async with asyncio.timeout(within_s):
        while True:
            row = await replica.database.fetchrow("SELECT * FROM compose WHERE id = $1", compose_id)
            assert row is not None
            if row["state"] in states:
                return dict(row)
            await asyncio.sleep(0.01)
