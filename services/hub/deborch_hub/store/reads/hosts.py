"""Hosts, with what the tasks on them take."""

from deborch_hub.store.queries import SQL
from deborch_shared.contract.hosts import Host
from deborch_shared.contract.states import HostState
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode


async def list_hosts(
    database: Database, *, limit: int | None = None, after: str | None = None, state: HostState | None = None
) -> list[Host]:
    """Hosts by name; all of them if no limit is given."""
    rows = await database.fetch(SQL["read_hosts"], after, limit, state, None)
    return [Host.model_validate(dict(row)) for row in rows]


async def get_host(database: Database, name: str) -> Host:
    """One host.

    Raises:
        DeborchError: NOT_FOUND.
    """
    row = await database.fetchrow(SQL["read_hosts"], None, 1, None, name)
    if row is None:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no host {name}", hint="`deborch host list` shows them")
    return Host.model_validate(dict(row))
