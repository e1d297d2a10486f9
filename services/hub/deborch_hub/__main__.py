"""The hub's process: everything is wired here and nowhere else."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson

from deborch_hub.api import ApiDeps, build_hub_application
from deborch_hub.archives import ArchivePolicy, GpgSigner, Publisher, sources_text
from deborch_hub.archives.publisher import Record
from deborch_hub.archives.worker import ArchiveWorker
from deborch_hub.domain.placement import STRATEGIES, Board, Leadership
from deborch_hub.handlers.compose_hub import ComposeHub
from deborch_hub.handlers.context import BuildDefaults, Context
from deborch_hub.handlers.hosts import refresh_board
from deborch_hub.handlers.hub import Hub
from deborch_hub.handlers.requirements import Requirements
from deborch_hub.handlers.submission import Submissions
from deborch_hub.handlers.unit_of_work import Transactions
from deborch_hub.listeners.builders import listen_to_builders
from deborch_hub.listeners.composers import listen_to_composers
from deborch_hub.outbox import OutboxRelay
from deborch_hub.scheduler.composes import ComposeWatch
from deborch_hub.scheduler.leadership import Leader
from deborch_hub.scheduler.placer import Placer
from deborch_hub.scheduler.reaper import Reaper
from deborch_hub.settings import HubSettings
from deborch_hub.store.archive_contents import ArchiveContents
from deborch_hub.store.blobs import BlobStore
from deborch_hub.store.event_feed import EventFeed
from deborch_hub.store.id_blocks import IdBlocks
from deborch_hub.store.logs import LogStore
from deborch_hub.store.notifications import Notifications
from deborch_hub.store.ostree import OstreeStore
from deborch_hub.store.queries import MIGRATIONS, SQL
from deborch_hub.store.registry import Registries
from deborch_shared.bus import COMPOSER_REQUESTS, Bus, host_queue
from deborch_shared.clock import SystemClock
from deborch_shared.db import Database, Migrator
from deborch_shared.errors import DeborchError
from deborch_shared.http import ApiClient, bind, serve
from deborch_shared.ids import new_instance_name
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.security import TokenVerifier
from deborch_shared.settings import load

_log = logging.getLogger("deborch_hub")
_PRUNE_EVERY_S = 600.0


class HubProcess:
    """One replica: its parts, and which of them run always and which only while it schedules."""

    def __init__(self, settings: HubSettings, database: Database, bus: Bus, name: str) -> None:
        self.settings = settings
        self.database = database
        self.bus = bus
        self.name = name
        self.clock = SystemClock()
        self.leadership = Leadership(name)
        self.board = Board(strategy=STRATEGIES[settings.strategy]())
        self.blobs = BlobStore(settings.data_dir / "blobs")
        self.logs = LogStore(settings.data_dir / "logs")
        self.ostree = OstreeStore(settings.data_dir / "ostree")
        self.feed = EventFeed(database, settings.database_url.get_secret_value())
        self.relay = OutboxRelay(database, bus)
        self.notifications = Notifications(settings.database_url.get_secret_value(), name, self._others_committed)
        outbox_ids, task_ids = IdBlocks(database, "outbox"), IdBlocks(database, "task")
        self.transactions = Transactions(database, outbox_ids=outbox_ids, relay=self.relay, wake=self._committed)
        self.submissions = Submissions(
            self.transactions,
            task_ids=task_ids,
            board=self.board,
            leadership=self.leadership,
            lease_s=settings.lease_s,
        )
        self.requirements = Requirements(database, self.board)
        self.task_ids = task_ids
        self.placer: Placer | None = None
        self.archives: ArchiveWorker | None = None

    def wire(self, signer: GpgSigner, public_url: str) -> Context:
        """The parts that need the archive key and the address that the hub is reached by."""

        def archive_sources(target: str, architectures: Sequence[str]) -> str:
            return sources_text(
                target=target,
                uri=f"{public_url}/archives/{target}",
                architectures=architectures,
                public_key=signer.public_key,
            )

        settings = self.settings
        context = Context(
            database=self.database,
            transactions=self.transactions,
            task_ids=self.task_ids,
            requirements=self.requirements,
            submissions=self.submissions,
            board=self.board,
            leadership=self.leadership,
            blobs=self.blobs,
            archive_sources=archive_sources,
            wake_publisher=self._wake_archives,
            defaults=BuildDefaults(
                build_cpu=settings.build_cpu,
                build_memory_bytes=settings.build_memory_bytes,
                build_disk_bytes=settings.build_disk_bytes,
                build_timeout_s=settings.build_timeout_s,
            ),
            source_keyring=settings.source_keyring,
            declare_host_queue=lambda host: self.bus.declare(host_queue(host)),
            declare_queue=self.bus.declare,
            registry=Registries(settings.registry_auth_file),
            ostree=self.ostree,
            dep_wait_retry_s=settings.dep_wait_retry_s,
            heartbeat_interval_s=settings.heartbeat_s,
            lease_s=settings.lease_s,
        )

        def make_publisher(record: Record) -> Publisher:
            return Publisher(
                database=self.database,
                signer=signer,
                root=settings.data_dir / "archives",
                blob_path=self.blobs.path_of,
                base_url=public_url,
                record=record,
                clock=self.clock,
                policy=ArchivePolicy(keep_snapshots=settings.keep_snapshots),
            )

        self.placer = Placer(context)
        self.archives = ArchiveWorker(context, ArchiveContents(), make_publisher)
        return context

    def _committed(self) -> None:
        self.feed.wake()
        self.notifications.notify()
        if self.placer is not None and self.leadership.held:
            self.placer.wake()

    def _others_committed(self) -> None:
        self.feed.wake()
        if self.placer is not None and self.leadership.held:
            self.placer.others_committed()
            self._wake_archives()

    def _wake_archives(self) -> None:
        if self.archives is not None:
            self.archives.wake()

    async def duties(self, context: Context) -> None:
        """What the scheduling replica does, and no other."""
        if self.placer is None or self.archives is None:
            raise RuntimeError("wire() comes first")
        await refresh_board(context)
        builders = Bus(self.settings.amqp_dsn(), name=f"{self.name}-builders", queues=(COMPOSER_REQUESTS,))
        listen_to_builders(builders, context)
        listen_to_composers(builders, context)
        reaper, composes = Reaper(context, self.clock), ComposeWatch(context, self.clock)
        builders.on_connected += [reaper.cannot_hear, composes.cannot_hear]
        async with asyncio.TaskGroup() as group:
            group.create_task(builders.run())
            group.create_task(self.placer.run())
            group.create_task(self.relay.sweep())
            group.create_task(self.archives.run())
            group.create_task(reaper.run(is_connected=builders.wait_connected))
            group.create_task(composes.run(is_connected=builders.wait_connected))
            group.create_task(self._prune())

    async def _prune(self) -> None:
        while True:
            try:
                while await self.database.execute(SQL["prune_events"], self.settings.keep_events_s) == "DELETE 5000":
                    pass
                await self.database.execute(SQL["prune_idempotency_keys"], self.settings.keep_events_s)
            except DeborchError as error:
                _log.info("nothing is pruned for now: %s", error)
            await self.clock.sleep(_PRUNE_EVERY_S)

    async def database_ready(self) -> str | None:
        try:
            await self.database.fetchval("SELECT 1")
        except DeborchError as error:
            return str(error)
        return None

    async def broker_ready(self) -> str | None:
        return None if self.bus.connected else "no link to RabbitMQ yet"


async def run_hub(settings: HubSettings, lifecycle: Lifecycle) -> None:
    """Serve until told to stop."""
    name = new_instance_name("hub")
    for part in ("blobs", "logs", "archives"):
        (settings.data_dir / part).mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(settings.database_url.get_secret_value(), application=name, max_size=settings.database_pool)
        )
        await Migrator(MIGRATIONS).run(database)
        listener = bind(settings.host, settings.port)
        port = int(listener.getsockname()[1])
        public_url = settings.public_url.rstrip("/") or f"http://{settings.host}:{port}"
        signer = await GpgSigner.open(settings.data_dir / "keys", "deb-orchestrator archive signing key")
        auth = await stack.enter_async_context(ApiClient(settings.auth_url, timeout_s=5))
        process = HubProcess(settings, database, Bus(settings.amqp_dsn(), name=name, queues=(COMPOSER_REQUESTS,)), name)
        process.blobs.prepare()
        process.ostree.prepare()
        context = process.wire(signer, public_url)
        await process.requirements.load()
        app = build_hub_application(
            ApiDeps(
                commands=Hub(context),
                composes=ComposeHub(context, process.clock),
                database=database,
                blobs=process.blobs,
                logs=process.logs,
                ostree=process.ostree,
                feed=process.feed,
                archive_root=settings.data_dir / "archives",
                public_url=public_url,
                key_fingerprint=signer.fingerprint,
            ),
            TokenVerifier(_key_source(auth)),
            {"database": process.database_ready, "broker": process.broker_ready},
        )
        await stack.enter_async_context(
            serve(app, settings.host, settings.port, port_file=settings.port_file, listener=listener)
        )
        _log.info("hub serves", extra={"url": public_url})
        leader = Leader(database, process.leadership, process.clock, lambda: process.duties(context))
        await lifecycle.run_until_stopped(
            process.bus.run(),
            process.relay.run(),
            process.feed.run(),
            process.notifications.run(),
            process.submissions.run(),
            leader.run(),
        )


def _key_source(auth: ApiClient) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def fetch() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = orjson.loads(await auth.call("GET", "/api/v1/jwks.json"))
        return keys

    return fetch


def main() -> None:
    """Entry point of `deborch-hub`."""
    try:
        settings = load(HubSettings)
    except DeborchError as error:
        sys.exit(f"deborch-hub: {error}")
    run_service(
        "hub",
        lambda lifecycle: run_hub(settings, lifecycle),
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
        drain_timeout_s=settings.drain_timeout_s,
    )


if __name__ == "__main__":
    main()
