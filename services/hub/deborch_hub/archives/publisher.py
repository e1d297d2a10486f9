"""Bringing an archive on disk to what the database wants: read, write, sign, switch, record.

A process may die between any two lines. Until the switch readers get the last state; between the switch and the
record they get the new one and the database still asks for it, so that it is made again. Readers never see a mixture.
"""

import asyncio
import fcntl
import itertools
import logging
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deborch_hub.archives.cache import CacheState, ShardCache
from deborch_hub.archives.durable import point
from deborch_hub.archives.layout import ArchiveLayout
from deborch_hub.archives.policy import ArchivePolicy
from deborch_hub.archives.release import release_text, sources_text
from deborch_hub.archives.signing import Signer
from deborch_hub.archives.snapshot import SnapshotWriter
from deborch_hub.store.archive_contents import ArchiveChanges, ArchiveContents, ArchiveHead, one_moment
from deborch_hub.store.disk import disk_errors, in_thread
from deborch_shared.clock import Clock
from deborch_shared.db import Connection, Database
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import ArchivePublished
from deborch_shared.ids import BuildId, Sha256

Record = Callable[[Connection, ArchivePublished, Sequence[BuildId]], Awaitable[None]]
"""Called in the transaction that makes a publication known, to tell of it and of the builds that it completes."""

_log = logging.getLogger(__name__)
_LOCK_RETRY_S = 0.05
_LOCK_TRIES = 600


@dataclass(frozen=True, slots=True)
class Published:
    """What one publication did."""

    event: ArchivePublished
    completed_builds: Sequence[BuildId]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What there is to do: where the archive stands, the publication to build on, and what changed since."""

    head: ArchiveHead
    base: CacheState | None
    changes: ArchiveChanges


@dataclass(frozen=True, slots=True)
class _Written:
    """A snapshot that readers get and the database does not know of yet."""

    state: CacheState
    packages: int


class Publisher:
    """Publishes archives under `root`, hard-linking blobs, or copying those that are on another file system.

    Args:
        blob_path: where the blob of a digest is.
        base_url: what the URLs of archives start with, without `/archives`.
        record: see `Record`.
    """

    def __init__(
        self,
        *,
        database: Database,
        signer: Signer,
        root: Path,
        blob_path: Callable[[Sha256], Path],
        base_url: str,
        record: Record,
        clock: Clock,
        policy: ArchivePolicy | None = None,
    ) -> None:
        self._database = database
        self._contents = ArchiveContents()
        self._signer = signer
        self._root = root
        self._blob_path = blob_path
        self._base_url = base_url.rstrip("/")
        self._record = record
        self._clock = clock
        self._policy = policy or ArchivePolicy()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._swept: set[str] = set()

    async def behind(self) -> list[str]:
        """The targets to call `publish` for, by the database and by the disk: after a start, and from time to time."""
        async with self._database.connection() as connection:
            archives = await self._contents.standing(connection)
        return [
            archive.target
            for archive in archives
            if archive.behind or self._differs(ArchiveLayout(self._root, archive.target), archive.published)
        ]

    async def publish(self, target: str) -> Published | None:
        """Publish the archive of `target` if the database wants more than readers get; None if there was nothing new.

        Requests made while one runs are met by at most one more publication. A disk that is not as the database says
        (restored, or lost) is put right.

        Raises:
            DeborchError: NOT_FOUND; DISK_FULL or DATABASE_UNAVAILABLE (call again later); INTERNAL if a blob is
                missing. Readers go on getting the last publication.
        """
        layout = ArchiveLayout(self._root, target)
        async with self._turns[target], _only_here(layout):
            sweep = target not in self._swept
            self._swept.discard(target)
            with disk_errors(layout.base):
                published = await self._publish(layout, sweep=sweep)
            self._swept.add(target)
            return published

    async def _publish(self, layout: ArchiveLayout, *, sweep: bool) -> Published | None:
        plan = await self._plan(layout)
        if sweep:
            await self._sweep(layout, plan.head)
        if plan.head.published_generation == plan.head.wanted_generation:
            await self._restore(layout, plan)
            return None
        at = self._clock.now()
        written = await self._write(layout, plan, _free_name(layout, at), at)
        async with self._database.transaction() as connection:
            published, forgotten = await self._make_known(connection, layout, plan.head, written)
        await in_thread(_tidy, layout, written.state, forgotten)
        if sweep:
            await self._sweep(layout, plan.head)
        return published

    async def _sweep(self, layout: ArchiveLayout, head: ArchiveHead) -> None:
        """Remove what publications that did not come to their end have left."""
        async with self._database.connection() as connection:
            promised = await self._contents.snapshot_names(connection, head.archive_id)
        await in_thread(_remove_all_but, layout, promised)

    async def _plan(self, layout: ArchiveLayout) -> "_Plan":
        """One consistent look at what the archive holds; of that only what the cache does not know."""
        cached = await in_thread(ShardCache(layout.cache).state)
        async with one_moment(self._database) as connection:
            head = await self._contents.head(
                connection,
                layout.target,
                base_generation=cached.generation if cached else 0,
                base=cached.snapshot if cached else "",
            )
            base = cached if cached and head.base_known and cached.rules == self._rules(head) else None
            if _is_current(layout, head):
                return _Plan(head, base, ArchiveChanges((), ()))
            changes = await self._contents.changes(
                connection,
                head.archive_id,
                since_generation=base.generation if base else 0,
                versions=self._policy.versions_listed,
            )
            return _Plan(head, base, changes)

    async def _write(self, layout: ArchiveLayout, plan: "_Plan", name: str, at: datetime) -> "_Written":
        """The snapshot `name`, whole, signed and switched to."""
        head = plan.head
        writer = SnapshotWriter(
            layout,
            name,
            architectures=head.architectures,
            versions_listed=self._policy.versions_listed,
            blob_path=self._blob_path,
            base=plan.base,
        )
        try:
            indices = await in_thread(writer.write, plan.changes)
            by_hash = await in_thread(writer.keep_by_hash, indices, self._policy.by_hash_generations)
            release = release_text(
                target=layout.target,
                origin=self._policy.origin,
                architectures=head.architectures,
                at=at,
                files=writer.sums(indices),
            )
            await in_thread(writer.finish, release, await self._signer.sign(release))
        except BaseException:
            writer.discard()
            raise
        await in_thread(self._write_sources, layout, head)
        await in_thread(writer.switch)
        state = CacheState(head.wanted_generation, name, self._rules(head), indices, by_hash)
        return _Written(state, writer.packages(indices))

    async def _make_known(
        self, connection: Connection, layout: ArchiveLayout, head: ArchiveHead, written: "_Written"
    ) -> tuple[Published, list[str]]:
        builds = await self._contents.complete(
            connection, head, snapshot=written.state.snapshot, packages=written.packages
        )
        forgotten: list[str] = []
        if self._policy.keep_snapshots is not None:
            forgotten = await self._contents.forget_snapshots(
                connection, head.archive_id, keep=self._policy.keep_snapshots
            )
        event = ArchivePublished(
            target=layout.target,
            generation=head.wanted_generation,
            snapshot=written.state.snapshot,
            packages=written.packages,
        )
        await self._record(connection, event, builds)
        return Published(event, builds), forgotten

    async def _restore(self, layout: ArchiveLayout, plan: "_Plan") -> None:
        """Nothing is new to the database; see that the disk has it, too."""
        name = plan.head.published
        await in_thread(self._write_sources, layout, plan.head)
        if name is None or layout.current_snapshot() == name:
            return
        if layout.suite(layout.snapshot(name)).is_dir():
            await in_thread(point, layout.current, f"snapshots/{name}")
        else:
            await self._write(layout, plan, name, self._clock.now())

    def _differs(self, layout: ArchiveLayout, published: str | None) -> bool:
        """Whether the disk is not as the database says, or the archive is reached by another address than before."""
        if layout.current_snapshot() != published:
            return True
        there = layout.sources_file
        return there.is_file() and f"URIs: {self._uri(layout)}\n" not in there.read_text("utf-8")

    def _uri(self, layout: ArchiveLayout) -> str:
        return f"{self._base_url}/archives/{layout.target}"

    def _write_sources(self, layout: ArchiveLayout, head: ArchiveHead) -> None:
        text = sources_text(
            target=layout.target,
            uri=self._uri(layout),
            architectures=head.architectures,
            public_key=self._signer.public_key,
        )
        if not layout.sources_file.is_file() or layout.sources_file.read_text("utf-8") != text:
            new = layout.base / ".sources.new"
            new.write_text(text, "utf-8")
            new.replace(layout.sources_file)

    def _rules(self, head: ArchiveHead) -> str:
        """What an index depends on besides the packages."""
        return f"{','.join(head.architectures)} newest={self._policy.versions_listed}"


def _is_current(layout: ArchiveLayout, head: ArchiveHead) -> bool:
    return head.published_generation == head.wanted_generation and layout.current_snapshot() == head.published


def _free_name(layout: ArchiveLayout, at: datetime) -> str:
    """The name of a snapshot made at `at`; further ones of the same second get a number."""
    second = f"{at:%Y%m%dT%H%M%SZ}"
    names = itertools.chain([second], (f"{second}-{number}" for number in itertools.count(1)))
    return next(name for name in names if not layout.snapshot(name).exists())


def _remove_all_but(layout: ArchiveLayout, promised: set[str]) -> None:
    kept = promised | {layout.current_snapshot()}
    lost = [path for path in layout.snapshots.iterdir() if path.name not in kept]
    for path in [*layout.partials.iterdir(), *lost]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _tidy(layout: ArchiveLayout, state: CacheState, forgotten: Sequence[str]) -> None:
    try:
        ShardCache(layout.cache).save(state)
    except OSError as error:
        _log.warning("the next publication of %s takes longer, its cache was not saved: %s", layout.target, error)
    for name in forgotten:
        shutil.rmtree(layout.snapshot(name), ignore_errors=True)


@asynccontextmanager
async def _only_here(layout: ArchiveLayout) -> AsyncIterator[None]:
    """Hold the archive's directory against any other process. The lock goes with the process that holds it."""
    with layout.open_lock() as lock:
        for _ in range(_LOCK_TRIES):
            if _try_lock(lock.fileno()):
                break
            await asyncio.sleep(_LOCK_RETRY_S)
        else:
            raise DeborchError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"another process has been publishing {layout.target} for {_LOCK_TRIES * _LOCK_RETRY_S:g} s",
                hint=f"it is tried again by itself; fuser {layout.lock} names the process",
            )
        await in_thread(layout.make)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
