"""Wake-ups between replicas: PostgreSQL's NOTIFY, throttled, on a connection of its own.

NOTIFY inside every commit would cost several times the throughput; here at most one goes out per flush, and who
misses one is helped by a slow poll.
"""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from deborch_hub.store.queries import SQL

_log = logging.getLogger(__name__)
_FLUSH_EVERY_S = 0.05
_RETRY_S = 1.0


class Notifications:
    """Tells other replicas that something was committed, and hears it from them."""

    def __init__(self, dsn: str, name: str, heard: Callable[[], None]) -> None:
        self._dsn = dsn
        self._name = name
        self._heard = heard
        self._wanted = asyncio.Event()

    def notify(self) -> None:
        """Tell the others soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Listen and tell until cancelled; connect again when cut."""
        while True:
            try:
                await self._session()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.info("no wake-ups between replicas for now: %s", error)
            await asyncio.sleep(_RETRY_S)

    async def _session(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            await connection.add_listener("deborch_scheduler", self._on_notify)
            while not connection.is_closed():
                await self._wanted.wait()
                self._wanted.clear()
                await connection.fetch(SQL["notify"], self._name)
                await asyncio.sleep(_FLUSH_EVERY_S)
        finally:
            connection.terminate()

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload != self._name:
            self._heard()
