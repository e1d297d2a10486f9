"""Takes finished builds into archives and publishes archives that have changed. Runs where the scheduler runs."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

import asyncpg
from prometheus_client import Counter

from deborch_hub.archives.debfile import read_binary
from deborch_hub.archives.publisher import Publisher, Record
from deborch_hub.domain.packages import BinaryFile
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.publication import after_publication, archive_build, fail_build
from deborch_hub.store.archive_contents import ArchiveContents
from deborch_hub.store.queries import SQL
from deborch_hub.store.records import OutboxMessage, make_records, write_records
from deborch_shared.db import Connection
from deborch_shared.errors import DeborchError
from deborch_shared.events.model import ArchivePublished
from deborch_shared.ids import BuildId, Sha256

_log = logging.getLogger(__name__)
_failed = Counter("deborch_hub_publications_failed_total", "Publications of an archive that failed", ["target"])
SAFETY_POLL_S = 5.0
_AFTER_ERROR_S = 1.0


class ArchiveWorker:
    """Every step can be repeated: what a crash leaves half done is found again in the database."""

    def __init__(
        self, context: Context, contents: ArchiveContents, make_publisher: Callable[[Record], Publisher]
    ) -> None:
        self._context = context
        self._contents = contents
        self._publisher = make_publisher(self._record)
        self._messages: list[OutboxMessage] = []
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Archive and publish until cancelled."""
        while True:
            try:
                await self._archive_builds()
                await self._publish_archives()
            except (DeborchError, OSError) as error:
                _log.warning("archives wait: %s", error)
                await asyncio.sleep(_AFTER_ERROR_S)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), SAFETY_POLL_S)
            self._woken.clear()

    async def _archive_builds(self) -> None:
        for row in await self._context.database.fetch(SQL["builds_to_archive"]):
            try:
                binaries = await self._read_binaries(row["id"])
            except DeborchError as error:
                if error.temporary:
                    raise
                await fail_build(self._context, row["id"], str(error))
                continue
            await archive_build(self._context, self._contents, row["id"], binaries)

    async def _read_binaries(self, build_id: int) -> list[BinaryFile]:
        rows = await self._context.database.fetch(SQL["package_artifacts_of_build"], build_id)
        return [await self._read_binary(row) for row in rows]

    async def _read_binary(self, row: asyncpg.Record) -> BinaryFile:
        digest = Sha256(row["sha256"].hex())
        binary = await read_binary(self._context.blobs.path_of(digest), row["name"])
        return BinaryFile(binary, row["name"], digest, row["size_bytes"])

    async def _publish_archives(self) -> None:
        """All that wait; one that cannot be published does not keep the others waiting."""
        failure: DeborchError | OSError | None = None
        for target in await self._publisher.behind():
            try:
                published = await self._publisher.publish(target)
            except (DeborchError, OSError) as error:
                _failed.labels(target).inc()
                _log.warning("archive of %s is not published: %s", target, error)
                failure = error
                continue
            if published is not None:
                messages, self._messages = self._messages, []
                self._context.board.look_at_all()
                self._context.transactions.committed(messages)
        if failure is not None:
            raise failure

    async def _record(self, connection: Connection, published: ArchivePublished, completed: Sequence[BuildId]) -> None:
        """In the publisher's transaction: what it means for builds and tasks, and who is told."""
        work = await after_publication(self._context, connection, published, completed)
        records = await make_records(self._context.transactions.outbox_ids, work.events, work.commands, connection)
        await write_records(connection, records)
        self._messages = records.messages
