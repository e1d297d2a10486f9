"""LISTEN on a connection of its own: tells that another replica has committed events."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from deborch_shared.errors import bounded

CHANNEL = "deborch_events"
_log = logging.getLogger(__name__)
_RECONNECT_S = 1.0


@asynccontextmanager
async def listen(dsn: str, wake: Callable[[], None]) -> AsyncIterator[None]:
    """Call `wake` for each notification while the context lasts; a lost connection is made again."""
    listening = asyncio.create_task(_listen(dsn, wake), name="listen for events")
    try:
        yield
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _listen(dsn: str, wake: Callable[[], None]) -> None:
    while True:
        try:
            await _listen_once(dsn, wake)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("not listening for events for a moment: %s", bounded(str(error) or type(error).__name__, 200))
        await asyncio.sleep(_RECONNECT_S)


async def _listen_once(dsn: str, wake: Callable[[], None]) -> None:
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "deborch-hub-events"})
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: wake())
        wake()
        await lost.wait()
    finally:
        connection.terminate()
