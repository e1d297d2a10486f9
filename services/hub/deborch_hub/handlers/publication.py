"""Builds into archives, and what follows when an archive is published."""

import logging
from collections.abc import Sequence

from deborch_hub.domain.packages import BinaryFile
from deborch_hub.handlers.build_progress import set_build_state
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.ending import locked_build, unblock
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.archive_contents import ArchiveContents
from deborch_hub.store.queries import SQL
from deborch_shared.contract.states import BuildState
from deborch_shared.db import Connection
from deborch_shared.errors import DeborchError
from deborch_shared.events.model import ArchivePublished, BuildCompleted
from deborch_shared.ids import BuildId, TargetId

_log = logging.getLogger(__name__)


async def archive_build(
    context: Context, contents: ArchiveContents, build_id: int, binaries: Sequence[BinaryFile]
) -> None:
    """Put the packages of a build whose tasks are done into its target's archive; the build is publishing then."""
    async with context.transactions.begin() as work:
        build = await locked_build(work, build_id)
        if build["state"] != BuildState.BUILDING.value:
            return
        try:
            async with work.connection.transaction():
                generation = await contents.add_build(
                    work.connection,
                    TargetId(build["target_id"]),
                    build_id=BuildId(build_id),
                    binaries=binaries,
                    source_version_id=build["source_version_id"],
                )
        except DeborchError as error:
            if error.temporary:
                raise
            await set_build_state(work, build, BuildState.FAILED, message=str(error))
            return
        await set_build_state(work, build, BuildState.PUBLISHING, generation=generation)


async def fail_build(context: Context, build_id: int, message: str) -> None:
    """A build whose results cannot be archived has failed."""
    async with context.transactions.begin() as work:
        build = await locked_build(work, build_id)
        if build["state"] == BuildState.BUILDING.value:
            await set_build_state(work, build, BuildState.FAILED, message=message)


async def after_publication(
    context: Context, connection: Connection, published: ArchivePublished, completed: Sequence[BuildId]
) -> Work:
    """In the publisher's transaction: tell of it, and unblock who waited. The caller writes the work's records."""
    work = Work(connection)
    work.tell(published)
    for build_id in completed:
        build = await locked_build(work, build_id)
        work.tell(
            BuildCompleted(
                build_id=build_id, target=build["target"], source=build["source_name"], version=build["version"] or ""
            )
        )
    target = await connection.fetchrow(SQL["target_by_name"], published.target)
    if completed and target is not None:
        for row in await connection.fetch(SQL["dep_waiting_tasks_of_target"], target["id"]):
            await unblock(context, work, row["id"], f"{published.target} was published")
        for row in await connection.fetch(SQL["archive_waiting_tasks"]):
            await unblock(context, work, row["id"], "the builds before it are published")
    return work
