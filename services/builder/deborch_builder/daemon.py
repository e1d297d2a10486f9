"""The daemon from start to end: recover, enrol, register, work, drain."""

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from deborch_builder.admission import Offer
from deborch_builder.attempts import Attempts
from deborch_builder.commands import Commands
from deborch_builder.data_directory import DataDirectory
from deborch_builder.engine_port import BuildEngine, Environment
from deborch_builder.hub import HttpHub
from deborch_builder.job import Tools
from deborch_builder.journal import Journal
from deborch_builder.preparation import Preparation
from deborch_builder.recovery import recover
from deborch_builder.registration import register
from deborch_builder.reporter import Reporter
from deborch_builder.settings import BuilderSettings
from deborch_shared.bus import Bus, host_queue
from deborch_shared.clock import Clock
from deborch_shared.contract.hosts import HostRegister
from deborch_shared.errors import DeborchError
from deborch_shared.events import new_event
from deborch_shared.events.model import HostHeartbeat, Resources
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
ResultT = TypeVar("ResultT")
_FLUSH_TIMEOUT_S = 5.0
GIVE_BACK_S = _FLUSH_TIMEOUT_S + 3.0
"""How long it takes at most to stop what has not ended while draining, and to tell the hub so."""
_HTTP_TIMEOUT_S = 60.0
_TOOLS = ("apt", "dpkg", "mmdebstrap")
"""Packages that builds are made with."""
_OBSTACLE_CHARACTERS = 500
_TAG = re.compile(r"[a-z0-9][a-z0-9:._-]{0,62}")


@dataclass(slots=True)
class _Node:
    """A builder that the hub knows, wired and ready to run."""

    bus: Bus
    reporter: Reporter
    attempts: Attempts
    commands: Commands
    preparation: Preparation
    heartbeat_interval_s: float


class Daemon:
    """One builder process."""

    def __init__(self, settings: BuilderSettings, data: DataDirectory, engine: BuildEngine, clock: Clock) -> None:
        self._settings = settings
        self._data = data
        self._engine = engine
        self._clock = clock
        self._bus = Bus(settings.amqp_dsn(), name=f"builder {settings.name}")
        self._registered = False
        self._told: HostRegister | None = None
        self._readiness = Readiness(clock)
        caches = settings.cache_dir or data.buildroots
        self._disk = DiskPressure((data.root, caches), settings.disk_floor_bytes, engine, clock)

    async def run(self, lifecycle: Lifecycle) -> None:
        """Start and work until `lifecycle` stops, then drain.

        Raises:
            DeborchError: what keeps the builder from starting, such as NAME_TAKEN. A hub that is away is waited for.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._engine.close)
            await stack.enter_async_context(
                serve_health(settings.host, settings.port, settings.port_file, self._ready_checks())
            )
            node = await unless_stopped(lifecycle, self._started(stack))
            if node is not None:
                await self._work(node, lifecycle)

    async def _started(self, stack: AsyncExitStack) -> _Node:
        settings, clock = self._settings, self._clock
        journal, spool = Journal(self._data.assignments), Spool(self._data.spool)
        not_again = await asyncio.to_thread(recover, settings.name, journal, spool, self._data.work)
        engine_need = EngineNeed(self._engine)
        await engine_need.look()
        self._readiness.add(engine_need)
        await self._disk.look()
        self._readiness.add(self._disk)
        auth = await stack.enter_async_context(ApiClient(settings.auth_url))
        key = await ensure_key(auth, settings.name, settings.key_path, settings.enrolment, clock, kind="builder")
        tokens = AccessTokens(auth, key, clock)
        client = ApiClient(settings.hub_url, token=tokens, timeout_s=_HTTP_TIMEOUT_S)
        hub = HttpHub(await stack.enter_async_context(client))
        host = await self._described()
        registration = await register(hub, host, clock)
        self._registered = True
        self._readiness.add(tokens)

        reporter = Reporter(self._bus, spool, clock)
        tools = Tools(self._engine, Transfers(hub, clock), clock)
        attempts = Attempts(
            host=host.name, work_dir=self._data.work, tools=tools, hub=hub, journal=journal, reporter=reporter
        )
        preparation = Preparation(self._engine, attempts, self._readiness, clock, lambda: self._tell_what_is_new(hub))
        for suite in settings.suites:
            preparation.wish(Environment(suite, ("main",), host.architectures[0]))
        commands = Commands(_offer(host), self._readiness, attempts, journal, reporter, preparation.wish)
        commands.remember(not_again)
        self._bus.consume(host_queue(host.name), commands.handle)
        self._told = host
        return _Node(self._bus, reporter, attempts, commands, preparation, registration.heartbeat_interval_s)

    async def _work(self, node: _Node, lifecycle: Lifecycle) -> None:
        heartbeats = Heartbeats(
            node.bus, lambda: [new_event(self._heartbeat(node), source=f"/builder/{self._settings.name}")], self._clock
        )
        interval_s = node.heartbeat_interval_s
        async with asyncio.TaskGroup() as group:
            works = (
                node.bus.run(),
                node.reporter.run(),
                node.attempts.run(),
                heartbeats.run(interval_s),
                self._readiness.run(),
                self._disk.run(),
                node.preparation.run(),
            )
            parts = [group.create_task(work) for work in works]
            await lifecycle.stopping.wait()
            node.commands.draining = True
            await heartbeats.send()
            await node.attempts.drain(self._settings.drain_timeout_s)
            if not await node.reporter.flushed(_FLUSH_TIMEOUT_S):
                _log.warning("reports stay in %s until the next start", self._data.spool)
            for part in parts:
                part.cancel()

    def _heartbeat(self, node: _Node) -> HostHeartbeat:
        load = machine.load_of(self._data.root)
        return HostHeartbeat(
            host=self._settings.name,
            load_1m=load.load_1m,
            memory_available_bytes=load.memory_available_bytes,
            disk_available_bytes=load.disk_available_bytes,
            draining=node.commands.draining,
            running=node.attempts.for_heartbeat(),
            obstacle=(self._readiness.problem or "")[:_OBSTACLE_CHARACTERS],
        )

    async def _described(self) -> HostRegister:
        settings, machine_has = self._settings, machine.resources_of(self._data.root)
        return HostRegister(
            name=settings.name,
            architectures=(await machine.architecture(),),
            tags=tuple(dict.fromkeys((*settings.tags, *await self._offers()))),
            cpu=settings.cpu or machine_has.cpu,
            memory_bytes=settings.memory_bytes or machine_has.memory_bytes,
            disk_bytes=settings.disk_bytes or machine_has.disk_bytes,
            versions=await machine.versions(_TOOLS),
        )

    async def _offers(self) -> Sequence[str]:
        """What the engine has to offer, as tags; a host without an engine offers none."""
        try:
            found = await self._engine.offers()
        except (DeborchError, OSError) as error:
            _log.warning("nothing of what the engine has is offered: %s", error)
            return ()
        return [tag for tag in found if _TAG.fullmatch(tag)]

    async def _tell_what_is_new(self, hub: HttpHub) -> None:
        """Register again if this host offers other tags than before."""
        host = await self._described()
        if self._told is None or host.tags == self._told.tags:
            return
        try:
            await hub.register(host)
        except DeborchError as error:
            _log.warning("the hub does not know yet what is new here: %s", error)
        else:
            self._told = host

    def _ready_checks(self) -> dict[str, ReadyCheck]:
        async def hub() -> str | None:
            return None if self._registered else "this host is not registered at the hub yet"

        async def broker() -> str | None:
            return None if self._bus.connected else "there is no link to the broker"

        async def engine() -> str | None:
            return self._readiness.problem

        return {"hub": hub, "broker": broker, "engine": engine}


def _offer(host: HostRegister) -> Offer:
    return Offer(
        host=host.name,
        architectures=frozenset(host.architectures),
        resources=Resources(cpu=host.cpu, memory_bytes=host.memory_bytes, disk_bytes=host.disk_bytes),
    )
