"""What earlier builds used, and what the largest host has."""

from typing import Any, Protocol

from deborch_hub.domain.estimates import LOOKED_AT, Largest, Measurement
from deborch_hub.store.queries import SQL


class Reader(Protocol):
    """A database or one connection of it."""

    async def fetch(self, query: str, *arguments: Any) -> Any: ...  # noqa: ANN401 - as asyncpg has it
    async def fetchrow(self, query: str, *arguments: Any) -> Any: ...  # noqa: ANN401


async def measurements_of(reader: Reader, source: str, architecture: str) -> list[Measurement]:
    """Of the newest successful builds of a source package for an architecture, the newest first."""
    rows = await reader.fetch(SQL["measurements"], source, architecture, LOOKED_AT)
    return [Measurement(**row) for row in rows]


async def largest_host(reader: Reader, architecture: str) -> Largest | None:
    """The most that one host of `architecture` has; None if there is no such host."""
    row = await reader.fetchrow(SQL["largest_host"], architecture)
    return Largest(row["memory_bytes"], row["disk_bytes"]) if row and row["memory_bytes"] is not None else None
