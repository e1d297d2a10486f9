"""The daemon from start to end: recover, enrol, register, work, drain."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from deborch_composer.commands import Commands
from deborch_composer.composes import Composes
from deborch_composer.data_directory import DataDirectory
from deborch_composer.engine_port import ComposeEngine
from deborch_composer.hub import HttpHub
from deborch_composer.hub_builds import BuildEvents, HubBuilds
from deborch_composer.hub_targets import HubTargets
from deborch_composer.journal import Journal
from deborch_composer.one_compose import Tools
from deborch_composer.recovery import recover
from deborch_composer.registration import register
from deborch_composer.reporter import SOURCE, Reporter
from deborch_composer.requests import Requests
from deborch_composer.room import Room
from deborch_composer.settings import ComposerSettings
from deborch_shared.bus import COMPOSER_REQUESTS, Bus, composer_queue
from deborch_shared.clock import Clock
from deborch_shared.contract.composes import ComposerRegister
from deborch_shared.events import new_event
from deborch_shared.events.composes import ComposerHeartbeat
from deborch_shared.http import ApiClient, ReadyCheck
from deborch_shared.lifecycle import Lifecycle
from deborch_shared.worker import machine
from deborch_shared.worker.credentials import AccessTokens, ensure_key
from deborch_shared.worker.disk_pressure import DiskPressure
from deborch_shared.worker.health import serve_health
from deborch_shared.worker.heartbeat import Heartbeats
from deborch_shared.worker.readiness import EngineNeed, Readiness
from deborch_shared.worker.spool import Spool
from deborch_shared.worker.starting import unless_stopped
from deborch_shared.worker.transfers import Transfers

_log = logging.getLogger(__name__)
_FLUSH_TIMEOUT_S = 5.0
GIVE_BACK_S = _FLUSH_TIMEOUT_S + 4.0
"""How long it takes at most to stop what has not ended while draining, and to tell the hub so."""
_HTTP_TIMEOUT_S = 300.0
"""An upload of objects is unpacked before it is answered."""
_TOOLS = ("apt", "dpkg", "mmdebstrap", "ostree")
"""Packages that composes are made with."""


@dataclass(frozen=True, slots=True)
class HubServices:
    """What an engine asks a hub for, by the names that it has for it."""

    builds: HubBuilds
    targets: HubTargets


MakeEngine = Callable[[HubServices], ComposeEngine]


@dataclass(slots=True)
class _Node:
    """A composer that the hub knows, wired and ready to run."""

    reporter: Reporter
    composes: Composes
    room: Room
    heartbeat_interval_s: float


class Daemon:
    """One composer process."""

    def __init__(self, settings: ComposerSettings, data: DataDirectory, make_engine: MakeEngine, clock: Clock) -> None:
        self._settings = settings
        self._data = data
        self._make_engine = make_engine
        self._clock = clock
        self._bus = Bus(settings.amqp_dsn(), name=f"composer {settings.name}")
        self._registered = False
        self._readiness = Readiness(clock)
        self._disk: DiskPressure | None = None

    async def run(self, lifecycle: Lifecycle) -> None:
        """Start and work until `lifecycle` stops, then drain.

        Raises:
            DeborchError: what keeps the composer from starting, such as NAME_TAKEN. A hub that is away is waited for.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                serve_health(settings.host, settings.port, settings.port_file, self._ready_checks())
            )
            node = await unless_stopped(lifecycle, self._started(stack))
            if node is not None:
                await self._work(node, lifecycle)

    async def _started(self, stack: AsyncExitStack) -> _Node:
        settings, clock = self._settings, self._clock
        journal, spool = Journal(self._data.claims), Spool(self._data.spool)
        await asyncio.to_thread(recover, settings.name, journal, spool, self._data.work)
        auth = await stack.enter_async_context(ApiClient(settings.auth_url))
        key = await ensure_key(auth, settings.name, settings.key_path, settings.enrolment, clock, kind="composer")
        tokens = AccessTokens(auth, key, clock)
        client = await stack.enter_async_context(ApiClient(settings.hub_url, token=tokens, timeout_s=_HTTP_TIMEOUT_S))
        hub = HttpHub(client)
        transfers = Transfers(hub, clock)
        events = BuildEvents()
        engine = self._make_engine(HubServices(HubBuilds(client, transfers, events, clock), HubTargets(client)))
        stack.push_async_callback(engine.close)
        await self._look_at(engine)
        registration = await register(hub, await self._described(), clock)
        self._registered = True
        self._readiness.add(tokens)

        reporter = Reporter(self._bus, spool, clock)
        tools = Tools(engine, hub, transfers, clock)
        composes = Composes(
            composer=settings.name, work_dir=self._data.work, tools=tools, journal=journal, reporter=reporter
        )
        room = Room(settings.slots, lambda: len(composes), lambda: self._readiness.problem)
        composes.on_change = room.look
        requests = Requests(
            composer=settings.name,
            hub=hub,
            room=room,
            composes=composes,
            journal=journal,
            reporter=reporter,
            link=self._bus,
        )
        self._bus.consume(COMPOSER_REQUESTS, requests.handle, prefetch=1, gate=room.gate)
        self._bus.consume(composer_queue(settings.name), Commands(composes).handle)
        events.listen_on(self._bus, settings.name)
        return _Node(reporter, composes, room, registration.heartbeat_interval_s)

    async def _look_at(self, engine: ComposeEngine) -> None:
        settings = self._settings
        need = EngineNeed(engine)
        await need.look()
        self._readiness.add(need)
        places = (self._data.root, settings.state_path)
        self._disk = DiskPressure(places, settings.disk_floor_bytes, engine, self._clock)
        await self._disk.look()
        self._readiness.add(self._disk)

    async def _work(self, node: _Node, lifecycle: Lifecycle) -> None:
        source = SOURCE.format(self._settings.name)
        heartbeats = Heartbeats(self._bus, lambda: [new_event(self._heartbeat(node), source=source)], self._clock)
        async with asyncio.TaskGroup() as group:
            works = [
                self._bus.run(),
                node.reporter.run(),
                node.composes.run(),
                heartbeats.run(node.heartbeat_interval_s),
                self._readiness.run(),
                node.room.run(self._clock),
            ]
            if self._disk is not None:
                works.append(self._disk.run())
            parts = [group.create_task(work) for work in works]
            await lifecycle.stopping.wait()
            node.room.drain()
            await heartbeats.send()
            await node.composes.drain(self._settings.drain_timeout_s)
            if not await node.reporter.flushed(_FLUSH_TIMEOUT_S):
                _log.warning("reports stay in %s until the next start", self._data.spool)
            for part in parts:
                part.cancel()

    def _heartbeat(self, node: _Node) -> ComposerHeartbeat:
        return ComposerHeartbeat(
            composer=self._settings.name,
            draining=node.room.draining,
            running=node.composes.for_heartbeat(),
        )

    async def _described(self) -> ComposerRegister:
        return ComposerRegister(
            name=self._settings.name,
            architectures=(await machine.architecture(),),
            slots=self._settings.slots,
            versions=await machine.versions(_TOOLS),
        )

    def _ready_checks(self) -> dict[str, ReadyCheck]:
        async def hub() -> str | None:
            return None if self._registered else "this composer is not registered at the hub yet"

        async def broker() -> str | None:
            return None if self._bus.connected else "there is no link to the broker"

        async def engine() -> str | None:
            return self._readiness.problem

        return {"hub": hub, "broker": broker, "engine": engine}
