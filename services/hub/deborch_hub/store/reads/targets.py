"""Targets."""

import asyncpg

from deborch_hub.store.queries import SQL
from deborch_shared.contract.targets import Target
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode


async def list_targets(database: Database, *, public_url: str, limit: int, after: str | None) -> list[Target]:
    rows = await database.fetch(SQL["read_targets"], after, limit)
    return [_target(row, public_url) for row in rows]


async def get_target(database: Database, name: str, *, public_url: str) -> Target:
    """One target.

    Raises:
        DeborchError: NOT_FOUND.
    """
    row = await database.fetchrow(SQL["read_target"], name)
    if row is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no target {name}", hint="`deborch target list` shows them")
    return _target(row, public_url)


def archive_url(public_url: str, target: str) -> str:
    """What the URIs of a target's `.sources` file say."""
    return f"{public_url.rstrip('/')}/archives/{target}"


def _target(row: asyncpg.Record, public_url: str) -> Target:
    return Target.model_validate({**row, "archive_url": archive_url(public_url, row["name"])})
