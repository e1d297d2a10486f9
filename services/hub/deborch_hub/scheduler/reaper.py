"""Leases that ran out and hosts that fell silent."""

import logging
from collections.abc import Awaitable, Callable

from deborch_hub.handlers.context import Context
from deborch_hub.handlers.ending import unblock
from deborch_hub.handlers.hosts import refresh_board
from deborch_hub.handlers.reports import finish_attempt
from deborch_hub.scheduler.warmer import Warmer
from deborch_hub.store.queries import SQL
from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError
from deborch_shared.events.model import BuildDone, HostLost

_log = logging.getLogger(__name__)
SILENT_AFTER_HEARTBEATS = 3
LONGEST_GRACE_S = 20.0
DEP_WAITS_EVERY_S = 5.0
_LOOK_EVERY_S = 1.0


class Reaper:
    """Frees the tasks of hosts that are not heard. Pauses while this hub itself cannot hear."""

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._deaf = True
        self._next_retry_s = 0.0
        self._warmer = Warmer(context, clock)

    @property
    def _silent_after_s(self) -> float:
        return SILENT_AFTER_HEARTBEATS * self._context.heartbeat_interval_s

    @property
    def _grace_s(self) -> float:
        """How long hosts have to find the way back after an outage of ours, before silence counts again."""
        return max(self._silent_after_s, min(self._context.lease_s, LONGEST_GRACE_S))

    def cannot_hear(self) -> None:
        """The hub was, or is, cut off from broker or database: silence so far proves nothing."""
        self._deaf = True

    async def run(self, *, is_connected: Callable[[], Awaitable[None]]) -> None:
        """Look until cancelled. `is_connected` returns while heartbeats can arrive."""
        while True:
            try:
                await is_connected()
                was_deaf, self._deaf = self._deaf, False
                if was_deaf:
                    await self._extend()
                await self._expire_leases()
                await self._lose_hosts(tell=not was_deaf)
                await self._retry_dep_waits()
                await self._warmer.look()
            except DeborchError as error:
                if not error.temporary:
                    raise
                self._deaf = True
                _log.warning("leases are not looked at: %s", error)
            await self._clock.sleep(_LOOK_EVERY_S)

    async def _extend(self) -> None:
        leadership = self._context.leadership
        await self._context.database.execute(
            SQL["extend_all_leases"], self._grace_s, leadership.epoch, leadership.holder
        )

    async def _expire_leases(self) -> None:
        for row in await self._context.database.fetch(SQL["expired_tasks"]):
            _log.warning("lease of task %d attempt %d on %s ran out", row["id"], row["attempt"], row["host"])
            report = BuildDone(
                task_id=row["id"],
                attempt=row["attempt"],
                host=row["host"],
                succeeded=False,
                failure_class="host-lost",
                message=f"{row['host']} did not renew its lease",
            )
            await finish_attempt(self._context, report, fenced=True)

    async def _retry_dep_waits(self) -> None:
        """Let those try again that have waited long for build dependencies of the Debian suite."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_retry_s:
            return
        self._next_retry_s = now_s + DEP_WAITS_EVERY_S
        context = self._context
        async with context.transactions.begin() as work:
            if not await work.connection.fetchval(
                SQL["lease_holds"], context.leadership.epoch, context.leadership.holder
            ):
                return
            for row in await work.connection.fetch(SQL["dep_waits_to_retry"], context.dep_wait_retry_s):
                await unblock(context, work, row["id"], "it has waited long; the suite may have them by now")

    async def _lose_hosts(self, *, tell: bool) -> None:
        """Place nothing on silent hosts. After an outage of ours nobody is told: they may be heard the next moment."""
        leadership = self._context.leadership
        async with self._context.transactions.begin() as work:
            rows = await work.connection.fetch(
                SQL["lose_silent_hosts"], self._silent_after_s, leadership.epoch, leadership.holder
            )
            for row in rows:
                _log.warning("host %s is lost", row["name"])
                if tell:
                    work.tell(HostLost(host=row["name"], last_heartbeat_at=row["last_heartbeat_at"]))
        if rows:
            await refresh_board(self._context)
