"""Composes, composers, schedules, refs and tags."""

import asyncpg

from deborch_hub.store.queries import SQL
from deborch_shared.contract.composes import (
    Compose,
    ComposeCommitRef,
    ComposeImageRef,
    ComposeOrder,
    ComposeOutputFile,
    ComposePhase,
    ComposeQuery,
    Composer,
    ComposeSummary,
    ImageTag,
    Promotion,
    PromotionQuery,
    Ref,
    Schedule,
)
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode


async def list_composes(
    database: Database, wanted: ComposeQuery, *, limit: int, before: int | None
) -> list[ComposeSummary]:
    """The newest composes that `wanted` asks for, below id `before`."""
    rows = await database.fetch(
        SQL["read_composes"], before, limit, wanted.state, wanted.name, wanted.owner, wanted.schedule
    )
    return [ComposeSummary.model_validate(dict(row)) for row in rows]


async def get_compose(database: Database, compose_id: int) -> Compose:
    """One compose.

    Raises:
        DeborchError: NOT_FOUND.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL["read_compose"], compose_id)
        if row is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND, f"there is no compose {compose_id}", hint="`deborch compose list` shows them"
            )
        phases = await connection.fetch(SQL["read_compose_phases"], compose_id)
        commits = await connection.fetch(SQL["read_compose_commits"], compose_id)
        images = await connection.fetch(SQL["read_compose_images"], compose_id)
    return Compose.model_validate(
        {
            **row,
            "order": ComposeOrder.model_validate(row["wanted"]),
            "phases": [ComposePhase.model_validate(dict(phase)) for phase in phases],
            "commits": [ComposeCommitRef.model_validate(dict(commit)) for commit in commits],
            "images": [ComposeImageRef.model_validate(dict(image)) for image in images],
        }
    )


async def list_outputs(
    database: Database, compose_id: int, *, limit: int, after: str | None
) -> list[ComposeOutputFile]:
    rows = await database.fetch(SQL["read_compose_outputs"], compose_id, after, limit)
    return [_output(row) for row in rows]


async def get_output(database: Database, compose_id: int, path: str) -> ComposeOutputFile:
    """One file of a compose.

    Raises:
        DeborchError: NOT_FOUND.
    """
    row = await database.fetchrow(SQL["read_compose_output"], compose_id, path) if "\0" not in path else None
    if row is None:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"compose {compose_id} has no such file",
            hint=f"`deborch compose download {compose_id} --list` shows what it has",
        )
    return _output(row)


def _output(row: asyncpg.Record) -> ComposeOutputFile:
    return ComposeOutputFile.model_validate({**row, "sha256": row["sha256"].hex()})


async def list_composers(database: Database, *, limit: int, after: str | None, silent_after_s: float) -> list[Composer]:
    rows = await database.fetch(SQL["read_composers"], after, limit, silent_after_s)
    return [Composer.model_validate(dict(row)) for row in rows]


async def list_schedules(
    database: Database, *, limit: int, after: str | None, name: str | None = None
) -> list[Schedule]:
    rows = await database.fetch(SQL["read_schedules"], after, limit, name)
    return [Schedule.model_validate(dict(row)) for row in rows]


async def list_refs(
    database: Database, *, public_url: str, limit: int, after: str | None, ref: str | None = None
) -> list[Ref]:
    """Refs of the remote after `after`, or the one called `ref`."""
    rows = await database.fetch(SQL["read_published"], "ref", after, limit, ref)
    url = f"{public_url.rstrip('/')}/ostree"
    return [Ref.model_validate({**row, "ref": row["name"], "commit": row["value"], "url": url}) for row in rows]


async def list_tags(database: Database, *, limit: int, after: str | None, name: str | None = None) -> list[ImageTag]:
    """Tags that the hub has moved, after `IMAGE:TAG`, or the one of that name."""
    rows = await database.fetch(SQL["read_published"], "tag", after, limit, name)
    return [
        ImageTag.model_validate({**row, "image": image, "tag": tag, "digest": row["value"]})
        for row in rows
        for image, _, tag in [row["name"].rpartition(":")]
    ]


async def list_promotions(
    database: Database, wanted: PromotionQuery, *, limit: int, before: int | None
) -> list[Promotion]:
    rows = await database.fetch(SQL["read_promotions"], before, limit, wanted.kind, wanted.name)
    return [Promotion.model_validate(dict(row)) for row in rows]
