"""A composer in this process, wired as the daemon wires it, with fakes at its ports."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.builder.fakes import FakeClock, FakeLink, until
from tests.unit.composer.fakes import NAME, FakeEngine, FakeHub

from deborch_composer.commands import Commands
from deborch_composer.composes import Composes
from deborch_composer.journal import Journal
from deborch_composer.one_compose import Tools
from deborch_composer.reporter import Reporter
from deborch_composer.requests import Requests
from deborch_composer.room import Room
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import EventData
from deborch_shared.worker.spool import Spool
from deborch_shared.worker.transfers import Transfers


class Scene:
    def __init__(self, directory: Path, slots: int = 1) -> None:
        self.clock, self.link, self.hub = FakeClock(), FakeLink(), FakeHub()
        (directory / "state").mkdir()
        self.engine = FakeEngine(directory / "state")
        self.journal = Journal(directory / "claims")
        self.spool = Spool(directory / "spool")
        self.work_dir = directory / "work"
        self.problem: str | None = None
        self.reporter = Reporter(self.link, self.spool, self.clock)
        tools = Tools(self.engine, self.hub, Transfers(self.hub, self.clock), self.clock)
        self.composes = Composes(
            composer=NAME, work_dir=self.work_dir, tools=tools, journal=self.journal, reporter=self.reporter
        )
        self.room = Room(slots, lambda: len(self.composes), lambda: self.problem)
        self.composes.on_change = self.room.look
        self.requests = Requests(
            composer=NAME,
            hub=self.hub,
            room=self.room,
            composes=self.composes,
            journal=self.journal,
            reporter=self.reporter,
            link=self.link,
        )
        self.commands = Commands(self.composes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        parts = [asyncio.create_task(part) for part in (self.composes.run(), self.reporter.run())]
        await asyncio.sleep(0)
        yield
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)

    async def asked(self, *events: Event) -> None:
        await self.requests.handle(events)

    async def told(self, *commands: EventData) -> None:
        await self.commands.handle([new_event(command, source="/hub") for command in commands])

    def said(self, model: type[EventData]) -> Sequence[EventData]:
        return self.link.data(model)

    async def idle(self) -> None:
        await until(lambda: not len(self.composes))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    async with made.running():
        yield made
