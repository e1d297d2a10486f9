"""Requirement classes: which row stands for a demand, remembered in memory."""

from deborch_hub.domain.matching import Demand
from deborch_hub.domain.placement import Board
from deborch_hub.store.queries import SQL
from deborch_shared.db import Database


class Requirements:
    """Finds or makes the requirement row of a demand, and tells the board of it."""

    def __init__(self, database: Database, board: Board) -> None:
        self._database = database
        self._board = board
        self._ids: dict[Demand, int] = {}

    async def id_of(self, demand: Demand) -> int:
        """The id of `demand`'s row. Two replicas at once get the same one."""
        known = self._ids.get(demand)
        if known is not None:
            return known
        arguments = (
            demand.architecture,
            sorted(demand.required_tags),
            demand.cpu,
            demand.memory_bytes,
            demand.disk_bytes,
        )
        found = None
        while found is None:  # a row that another replica has just committed is seen by the next statement
            found = await self._database.fetchval(SQL["requirement_id"], *arguments)
        self._learn(int(found), demand)
        return int(found)

    async def load(self) -> None:
        """Learn the rows that other replicas have made since."""
        for row in await self._database.fetch(SQL["requirements"], list(self._board.demands)):
            demand = Demand(
                row["architecture"],
                frozenset(row["required_tags"]),
                row["cpu"],
                row["memory_bytes"],
                row["disk_bytes"],
            )
            self._learn(row["id"], demand)

    def _learn(self, requirement_id: int, demand: Demand) -> None:
        self._ids[demand] = requirement_id
        self._board.demands[requirement_id] = demand
