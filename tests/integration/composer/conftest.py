"""A hub played by the test on a real broker, and composers that talk to both."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.integration.builder.hub_server import API_KEY, ENROLMENT_TOKEN, serving
from tests.integration.composer.hub_server import ComposeHubServer

from deborch_shared.bus import COMMANDS, COMPOSER_REQUESTS, HUB_COMPOSERS, HUB_COMPOSES, Bus, composer_key, publications
from deborch_shared.bus.publisher import Publication
from deborch_shared.events import Event, new_event
from deborch_shared.events.composes import ComposerHeartbeat
from deborch_shared.events.model import EventData

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Scene:
    """Hub, broker and what composers have said."""

    hub: ComposeHubServer
    amqp_url: str
    bus: Bus
    directory: Path
    events: list[Event] = field(default_factory=list)

    async def take(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    def said(self, model: type[EventData]) -> list:
        return [event.data for event in self.events if isinstance(event.data, model)]

    async def call(self, *events: Event) -> None:
        await self.bus.publish(publications(events))

    async def command(self, composer: str, command: EventData) -> None:
        (one,) = publications([new_event(command, source="/hub")], exchange=COMMANDS)
        await self.bus.publish([Publication(COMMANDS, composer_key(composer), one.body, one.content_type)])

    def environment(self, name: str, hold_at: str) -> dict[str, str]:
        data = self.directory / name
        data.mkdir(exist_ok=True)
        (data / "host.key").write_text(API_KEY)
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "DEBORCH_COMPOSER_NAME": name,
            "DEBORCH_COMPOSER_DATA_DIR": str(data),
            "DEBORCH_COMPOSER_DISK_FLOOR_BYTES": "0",
            "DEBORCH_COMPOSER_ENROLMENT_TOKEN": ENROLMENT_TOKEN,
            "DEBORCH_COMPOSER_PORT_FILE": str(data / "port"),
            "DEBORCH_HUB_URL": self.hub.url,
            "DEBORCH_AUTH_URL": self.hub.url,
            "DEBORCH_AMQP_URL": self.amqp_url,
            "DEBORCH_DRAIN_TIMEOUT_S": "1",
            "FAKE_HOLD_AT": hold_at,
        }

    @asynccontextmanager
    async def composer(self, name: str = "c1", *, hold_at: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        """The daemon with a fake engine, registered and heard; killed at the end if it still runs."""
        module = "tests.integration.composer.fake_composer"
        heard = len([beat for beat in self.said(ComposerHeartbeat) if beat.composer == name])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env=self.environment(name, hold_at), cwd=REPOSITORY
        )
        try:
            await self.until(lambda: self._beats(name) > heard)
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    def _beats(self, name: str) -> int:
        return sum(beat.composer == name for beat in self.said(ComposerHeartbeat))

    def ran(self, name: str = "c1") -> list[str]:
        """Phases that the engine of that composer has begun, in order, over all its lives."""
        record = self.directory / name / "state" / "ran"
        return record.read_text().split() if record.exists() else []

    async def until(self, condition: Callable[[], object], *, within_s: float = 40) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.02)


@pytest.fixture
async def scene(amqp_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with serving(ComposeHubServer()) as hub:
        assert isinstance(hub, ComposeHubServer)
        bus = Bus(amqp_url, name="test hub", queues=(COMPOSER_REQUESTS,))
        made = Scene(hub, amqp_url, bus, tmp_path)
        bus.consume(HUB_COMPOSES, made.take)
        bus.consume(HUB_COMPOSERS, made.take)
        running = asyncio.create_task(bus.run())
        await bus.wait_connected()
        yield made
        running.cancel()
        await asyncio.wait([running])
