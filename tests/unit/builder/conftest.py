"""A builder's parts wired to fakes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.builder.fakes import FakeClock, FakeEngine, FakeHub, FakeLink

from deborch_builder.admission import Offer
from deborch_builder.attempts import Attempts
from deborch_builder.commands import Commands
from deborch_builder.engine_port import Environment
from deborch_builder.job import Tools
from deborch_builder.journal import Journal
from deborch_builder.reporter import Reporter
from deborch_shared.events import new_event
from deborch_shared.events.model import AssignTask, CancelTask, EventData, Resources
from deborch_shared.worker.readiness import Readiness
from deborch_shared.worker.spool import Spool
from deborch_shared.worker.transfers import Transfers

GIB = 1024**3


@dataclass
class Builder:
    """One builder without a process around it. `stop` ends its tasks as the death of the process would."""

    directory: Path
    link: FakeLink = field(default_factory=FakeLink)
    hub: FakeHub = field(default_factory=FakeHub)
    engine: FakeEngine = field(default_factory=FakeEngine)
    clock: FakeClock = field(default_factory=FakeClock)
    offer: Offer = field(
        default_factory=lambda: Offer(
            "b1", frozenset({"amd64"}), Resources(cpu=4, memory_bytes=8 * GIB, disk_bytes=50 * GIB)
        )
    )

    def __post_init__(self) -> None:
        self.work_dir = self.directory / "work"
        self.journal = Journal(self.directory / "assignments")
        self.spool = Spool(self.directory / "spool")
        self.reporter = Reporter(self.link, self.spool, self.clock)
        self.attempts = Attempts(
            host=self.offer.host,
            work_dir=self.work_dir,
            tools=Tools(self.engine, Transfers(self.hub, self.clock), self.clock),
            hub=self.hub,
            journal=self.journal,
            reporter=self.reporter,
        )
        self.readiness = Readiness(self.clock)
        self.wishes: list[Environment] = []
        self.commands = Commands(
            self.offer, self.readiness, self.attempts, self.journal, self.reporter, self.wishes.append
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self.reporter.run()), asyncio.create_task(self.attempts.run())]

    async def stop(self) -> None:
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.wait([task])

    async def receive(self, *commands: AssignTask | CancelTask) -> None:
        """As one batch from the queue; returning acknowledges it."""
        await self.commands.handle([new_event(command, source="/hub") for command in commands])

    def reports(self, *models: type[EventData]) -> list[EventData]:
        return [event.data for event in self.link.events if not models or isinstance(event.data, models)]


@pytest.fixture
async def builder(tmp_path: Path) -> AsyncIterator[Builder]:
    made = Builder(tmp_path)
    await asyncio.sleep(0)
    made.start()
    await asyncio.sleep(0)
    yield made
    await made.stop()
