"""One hub replica in this process, on a real database and broker, with builders played by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deborch_hub.__main__ import HubProcess
from deborch_hub.archives import Signatures
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.hub import Hub
from deborch_hub.scheduler.leadership import Leader
from deborch_hub.settings import HubSettings
from deborch_hub.store.queries import MIGRATIONS
from deborch_shared.bus import COMPOSER_REQUESTS, Bus, host_queue, publications
from deborch_shared.contract.hosts import HostRegister
from deborch_shared.db import Database, Migrator
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import AssignTask, BuildDone, EventData, File, PrepareEnvironment, TaskStarted
from deborch_shared.security import Principal, Role

ADMIN = Principal("key:admin", frozenset({Role.ADMIN}))


class PlainSigner:
    """No cryptography: what is signed is tested with the archives."""

    fingerprint = "0" * 40
    public_key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAA==\n-----END PGP PUBLIC KEY BLOCK-----\n"

    async def sign(self, release: bytes) -> Signatures:
        return Signatures(release, b"signature")


@dataclass
class Replica:
    process: HubProcess
    hub: Hub
    context: Context
    database: Database

    async def task(self, task_id: int) -> dict[str, Any]:
        row = await self.database.fetchrow("SELECT * FROM task WHERE id = $1", task_id)
        assert row is not None
        return dict(row)

    async def until(self, task_id: int, *states: str, within_s: float = 60) -> dict[str, Any]:
        """The task once it is in one of `states`."""
        async with asyncio.timeout(within_s):
            while True:
                row = await self.task(task_id)
                if row["state"] in states:
                    return row
                await asyncio.sleep(0.01)


@dataclass
class PlayedBuilder:
    """A builder whose every move the test decides."""

    name: str
    bus: Bus
    orders: "asyncio.Queue[Event]" = field(default_factory=asyncio.Queue)
    wishes: list[PrepareEnvironment] = field(default_factory=list)

    async def say(self, *data: EventData) -> None:
        await self.bus.publish(publications(new_event(item, source=f"/builder/{self.name}") for item in data))

    async def next_order(self, within_s: float = 60) -> EventData:
        async with asyncio.timeout(within_s):
            return (await self.orders.get()).data

    async def assignment(self) -> AssignTask:
        order = await self.next_order()
        assert isinstance(order, AssignTask)
        return order

    async def start(self, order: AssignTask) -> None:
        await self.say(TaskStarted(task_id=order.task_id, attempt=order.attempt, host=self.name))

    async def finish(self, order: AssignTask, *artifacts: File, **changes: Any) -> None:
        await self.start(order)
        values: dict[str, Any] = {"succeeded": True, **changes}
        await self.say(
            BuildDone(task_id=order.task_id, attempt=order.attempt, host=self.name, artifacts=artifacts, **values)
        )


StartReplica = Callable[..., Awaitable[Replica]]
StartBuilder = Callable[..., Awaitable[PlayedBuilder]]


@pytest.fixture
async def stack(database: str, amqp_url: str) -> AsyncIterator[AsyncExitStack]:
    """Ends all that a test has started, before its database and broker go."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def start_replica(stack: AsyncExitStack, database: str, amqp_url: str, tmp_path: Path) -> StartReplica:
    """Start a replica; a second one on the same database and broker is another replica of the same hub."""
    started = 0

    async def start(**changes: Any) -> Replica:
        nonlocal started
        started += 1
        settings = HubSettings(
            database_url=SecretStr(database),
            amqp_url=SecretStr(amqp_url),
            data_dir=tmp_path / "hub",
            auth_url="http://127.0.0.1:9",
            **{"lease_s": 5.0, "heartbeat_s": 0.5, **changes},
        )
        return await stack.enter_async_context(replica(settings, f"hub-{started}"))

    return start


@asynccontextmanager
async def replica(settings: HubSettings, name: str) -> AsyncIterator[Replica]:
    async with Database(settings.database_url.get_secret_value(), application=name) as database:
        await Migrator(MIGRATIONS).run(database)
        process = HubProcess(settings, database, Bus(settings.amqp_dsn(), name=name, queues=(COMPOSER_REQUESTS,)), name)
        process.blobs.prepare()
        process.ostree.prepare()
        context = process.wire(PlainSigner(), "http://127.0.0.1:1")
        await process.requirements.load()
        leader = Leader(database, process.leadership, process.clock, lambda: process.duties(context))
        parts = [
            process.bus.run(),
            process.relay.run(),
            process.feed.run(),
            process.notifications.run(),
            process.submissions.run(),
            leader.run(),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        await process.bus.wait_connected()
        try:
            yield Replica(process, Hub(context), context, database)
        finally:
            left = set(tasks)
            while left:  # once is not enough: a driver may swallow a cancellation that comes while it connects
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=1)


@pytest.fixture
async def start_builder(stack: AsyncExitStack, amqp_url: str) -> StartBuilder:
    """Register a builder at a replica and listen on its queue."""

    async def start(at: Replica, name: str = "b1", **changes: Any) -> PlayedBuilder:
        builder = PlayedBuilder(name, Bus(amqp_url, name=name))

        async def take(events: Any) -> None:
            for event in events:
                if isinstance(event.data, PrepareEnvironment):
                    builder.wishes.append(event.data)
                else:
                    builder.orders.put_nowait(event)

        builder.bus.consume(host_queue(name), take)
        running = asyncio.create_task(builder.bus.run())

        async def stop() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        stack.push_async_callback(stop)
        await builder.bus.wait_connected()
        values = {"architectures": ("amd64",), "cpu": 4, "memory_bytes": 8 << 30, "disk_bytes": 50 << 30, **changes}
        await at.hub.register_host(
            HostRegister(name=name, **values), Principal(f"host:{name}", frozenset({Role.BUILDER}), host=name)
        )
        return builder

    return start
