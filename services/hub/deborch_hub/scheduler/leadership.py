"""Which replica schedules: a lease row with an epoch, which every write of the scheduler names.

An advisory lock would stay with a stopped process for as long as it sleeps. Here another replica takes over when
the lease runs out, and the old one, once awake, writes nothing: its epoch is not the current one any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Gauge

from deborch_hub.domain.placement import Leadership
from deborch_hub.store.queries import SQL
from deborch_shared.cancellation import apart
from deborch_shared.clock import Clock
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError

_log = logging.getLogger(__name__)
_leads = Gauge("deborch_hub_schedules", "1 on the replica that schedules")
LEASE_S = 3.0
RENEW_EVERY_S = 0.75


class LeaseLost(Exception):  # noqa: N818 - a fact that ends a scope, not an error to report
    """This replica does not schedule any more."""


class Leader:
    """Takes and keeps the lease, and runs `duties` while it is held."""

    def __init__(
        self, database: Database, leadership: Leadership, clock: Clock, duties: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._clock = clock
        self._duties = duties

    async def run(self) -> None:
        """Until cancelled: wait for the lease, do the duties, and stop them when it is lost."""
        try:
            while True:
                await self._take()
                _log.info("this replica schedules", extra={"epoch": self._leadership.epoch})
                _leads.set(1)
                try:
                    await apart(self._lead())
                except* LeaseLost:
                    _log.warning("another replica schedules now")
                finally:
                    self._leadership.epoch = None
                    _leads.set(0)
        finally:
            _leads.set(0)

    async def _take(self) -> None:
        while not await self._renew():
            await self._clock.sleep(RENEW_EVERY_S)

    async def _renew(self) -> bool:
        """True if the lease is this replica's, at the epoch in `leadership`."""
        try:
            epoch = await self._database.fetchval(
                SQL["take_lease"], self._leadership.holder, LEASE_S, self._leadership.epoch
            )
        except DeborchError as error:
            _log.warning("the scheduler's lease cannot be renewed: %s", error)
            return False
        if epoch is None or (self._leadership.held and epoch != self._leadership.epoch):
            return False
        self._leadership.epoch = epoch
        return True

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            group.create_task(self._do())

    async def _do(self) -> None:
        await self._duties()

    async def _keep(self) -> None:
        held_until_s = self._clock.monotonic_s() + LEASE_S
        try:
            while True:
                await self._clock.sleep(RENEW_EVERY_S)
                asked_at_s = self._clock.monotonic_s()
                if await self._renew():
                    held_until_s = asked_at_s + LEASE_S
                elif self._clock.monotonic_s() >= held_until_s or not await self._still_possible():
                    raise LeaseLost
        except asyncio.CancelledError:
            await self._give_up()
            raise

    async def _still_possible(self) -> bool:
        """Whether a failed renewal may have been the database's absence only."""
        try:
            await self._database.fetchval("SELECT 1")
        except DeborchError:
            return True
        return False

    async def _give_up(self) -> None:
        try:
            await asyncio.wait_for(
                self._database.execute(SQL["give_up_lease"], self._leadership.holder, self._leadership.epoch), 1
            )
        except (DeborchError, TimeoutError):
            _log.info("the lease is left to run out")
