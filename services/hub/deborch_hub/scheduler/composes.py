"""Composes that wait for nobody's report: leases that ran out, calls that were lost, schedules that are due."""

import logging
from collections.abc import Awaitable, Callable

from deborch_hub.handlers.compose_reports import expire_compose_leases
from deborch_hub.handlers.composes import announce
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.schedules import run_due_schedules
from deborch_hub.store.queries import SQL
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError

_log = logging.getLogger(__name__)
ANNOUNCE_AGAIN_S = 600.0
"""A call that ended among the dead letters is made again; one that still waits in the queue is there twice then."""
_LOOK_EVERY_S = 1.0


class ComposeWatch:
    """Looks each second. Takes no compose from a composer while this hub itself cannot hear."""

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._deaf = True

    def cannot_hear(self) -> None:
        """The hub was, or is, cut off from broker or database: silence so far proves nothing."""
        self._deaf = True

    async def run(self, *, is_connected: Callable[[], Awaitable[None]]) -> None:
        """Look until cancelled. `is_connected` returns while heartbeats can arrive."""
        while True:
            try:
                await is_connected()
                await self._look()
            except DeborchError as error:
                self._deaf = True
                _log.warning("composes are not looked at: %s", error, exc_info=not error.temporary)
            await self._clock.sleep(_LOOK_EVERY_S)

    async def _look(self) -> None:
        was_deaf, self._deaf = self._deaf, False
        context = self._context
        if was_deaf:
            await context.database.execute(
                SQL["extend_all_compose_leases"],
                context.lease_s,
                context.leadership.epoch,
                context.leadership.holder,
            )
        await expire_compose_leases(context)
        await run_due_schedules(context, self._clock.now())
        await self._announce_again()

    async def _announce_again(self) -> None:
        async with self._context.transactions.begin() as work:
            for row in await work.connection.fetch(SQL["forgotten_composes"], ANNOUNCE_AGAIN_S):
                announce(work, row)
