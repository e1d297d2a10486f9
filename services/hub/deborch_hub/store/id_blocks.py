"""Ids taken from a sequence in blocks, so that one statement can write rows and the events that name them."""

import asyncio
from collections import deque

from deborch_hub.store.queries import SQL
from deborch_shared.db import Connection, Database


class IdBlocks:
    """Gives ids of one table; a block that a crash leaves unused is a gap, which nothing minds."""

    def __init__(self, database: Database, table: str, *, block: int = 500) -> None:
        self._database = database
        self._table = table
        self._block = block
        self._ready: deque[int] = deque()
        self._filling = asyncio.Lock()

    async def take(self, count: int, connection: "Connection | None" = None) -> list[int]:
        """`count` ids in rising order.

        Who holds a connection gives it, so that nobody waits for a second one of the pool while holding the first.
        """
        if len(self._ready) < count:
            async with self._filling:
                while len(self._ready) < count:
                    rows = await (connection or self._database).fetch(
                        SQL["reserve_ids"], self._table, max(self._block, count)
                    )
                    self._ready.extend(row["id"] for row in rows)
        return [self._ready.popleft() for _ in range(count)]
