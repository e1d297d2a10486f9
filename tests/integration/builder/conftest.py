"""A hub played by the test on a real broker, and daemons that talk to both."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import pytest
from tests.integration.builder.hub_server import ENROLMENT_TOKEN, HubServer, serving
from tests.unit.builder.fakes import FakeEngine

from deborch_builder.daemon import Daemon
from deborch_builder.data_directory import locked
from deborch_builder.settings import BuilderSettings
from deborch_shared.bus import COMMANDS, HUB_HEARTBEATS, HUB_REPORTS, Bus, publications
from deborch_shared.bus.publisher import Publication
from deborch_shared.bus.topology import DEAD
from deborch_shared.clock import SystemClock
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import EventData
from deborch_shared.lifecycle import Lifecycle

NAME = "b1"


@dataclass
class Scene:
    """Hub, broker and what builders have said."""

    hub: HubServer
    amqp_url: str
    bus: Bus
    data_dir: Path
    events: list[Event] = field(default_factory=list)

    async def take(self, events: list[Event]) -> None:
        self.events.extend(events)

    def said(self, model: type[EventData]) -> list[EventData]:
        return [event.data for event in self.events if isinstance(event.data, model)]

    async def command(self, *commands: EventData) -> None:
        messages = publications([new_event(command, source="/hub") for command in commands], exchange=COMMANDS)
        addressed = [Publication(COMMANDS, NAME, one.body, one.content_type, mandatory=True) for one in messages]
        await self.bus.publish(addressed)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DEBORCH_BUILDER_NAME": NAME,
            "DEBORCH_BUILDER_DATA_DIR": str(self.data_dir),
            "DEBORCH_BUILDER_ENROLMENT_TOKEN": ENROLMENT_TOKEN,
            "DEBORCH_BUILDER_PORT_FILE": str(self.data_dir / "port"),
            "DEBORCH_HUB_URL": self.hub.url,
            "DEBORCH_AUTH_URL": self.hub.url,
            "DEBORCH_AMQP_URL": self.amqp_url,
            "DEBORCH_DRAIN_TIMEOUT_S": "1",
        }

    def settings(self, **changes: object) -> BuilderSettings:
        known = {
            "name": NAME, "data_dir": self.data_dir, "enrolment_token": ENROLMENT_TOKEN, "hub_url": self.hub.url,
            "auth_url": self.hub.url, "amqp_url": self.amqp_url, "drain_timeout_s": 1.0, "tags": "fast, ssd",
        }  # fmt: skip
        return BuilderSettings(**{**known, **changes})

    @asynccontextmanager
    async def daemon(self, engine: FakeEngine | None = None, **changes: object) -> AsyncIterator[Lifecycle]:
        """A daemon in this process; stopped as by SIGTERM at the end."""
        lifecycle = Lifecycle()
        with locked(self.data_dir) as data:
            made = Daemon(self.settings(**changes), data, engine or FakeEngine(), SystemClock())
            running = asyncio.create_task(made.run(lifecycle))
            try:
                yield lifecycle
            finally:
                lifecycle.stopping.set()
                await running

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The real process; killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deborch_builder", env=self.environment(), stderr=asyncio.subprocess.PIPE
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.communicate()

    async def until(self, condition: Callable[[], object], *, within_s: float = 15) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)


async def dead_letters(amqp_url: str, count: int, within_s: float = 10) -> list[bytes]:
    """The first `count` messages that were given up, in order."""
    connection = await aio_pika.connect(amqp_url)
    async with connection, asyncio.timeout(within_s):
        queue = await (await connection.channel()).get_queue(DEAD)
        found: list[bytes] = []
        while len(found) < count:
            if (message := await queue.get(fail=False, no_ack=True)) is not None:
                found.append(message.body)
            else:
                await asyncio.sleep(0.02)
        return found


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with serving(HubServer()) as server:
        yield server


@asynccontextmanager
async def scene_on(amqp_url: str, hub: HubServer, data_dir: Path) -> AsyncIterator[Scene]:
    bus = Bus(amqp_url, name="test hub")
    made = Scene(hub, amqp_url, bus, data_dir)
    bus.consume(HUB_REPORTS, made.take)
    bus.consume(HUB_HEARTBEATS, made.take)
    running = asyncio.create_task(bus.run())
    await bus.wait_connected()
    yield made
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
async def scene(amqp_url: str, hub: HubServer, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_on(amqp_url, hub, tmp_path / "data") as made:
        yield made
