"""Wishes to hosts: have the bases ready that what waits in the queue will want."""

from deborch_hub.domain.matching import Demand, HostSlot, Obstacle
from deborch_hub.handlers.context import Context
from deborch_hub.store.queries import SQL
from deborch_shared.clock import Clock
from deborch_shared.events.model import PrepareEnvironment

LOOK_EVERY_S = 30.0
AGAIN_AFTER_S = 3600.0
"""A wish that a host could not fulfil is worth no more than one try an hour."""
_WOULD_DO = frozenset({Obstacle.NONE, Obstacle.BUSY})


class Warmer:
    """Remembers what it has wished of whom, so that a long queue asks once."""

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._next_s = 0.0
        self._wished_s: dict[tuple[str, PrepareEnvironment], float] = {}

    async def look(self) -> None:
        """Every 30 s, send what no host that could take the tasks has ready."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_EVERY_S
        self._wished_s = {wish: at_s for wish, at_s in self._wished_s.items() if now_s - at_s < AGAIN_AFTER_S}
        wishes = [wish for wish in await self._wishes() if wish not in self._wished_s]
        if not wishes:
            return
        leadership = self._context.leadership
        async with self._context.transactions.begin() as work:
            if not await work.connection.fetchval(SQL["lease_holds"], leadership.epoch, leadership.holder):
                return
            for host, wish in wishes:
                work.command(host, wish)
        self._wished_s.update(dict.fromkeys(wishes, now_s))

    async def _wishes(self) -> list[tuple[str, PrepareEnvironment]]:
        found = []
        for row in await self._context.database.fetch(SQL["environments_wanted"]):
            wish = PrepareEnvironment(
                suite=row["suite"], components=tuple(row["components"]), architecture=row["architecture"]
            )
            demand = Demand(wish.architecture, frozenset(row["required_tags"]), cpu=1)
            hosts = self._context.board.hosts.values()
            found += [(host.name, wish) for host in hosts if _wants(host, wish.suite, demand)]
        return found


def _wants(host: HostSlot, suite: str, demand: Demand) -> bool:
    return f"env:{suite}" not in host.tags and host.obstacle(demand) in _WOULD_DO
