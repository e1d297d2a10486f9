"""Waiting for a file descriptor under any event loop, without giving it away to a transport."""

import asyncio


async def readable(descriptor: int) -> None:
    """Wait until reading `descriptor` would not block: there is something, or its end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _complete, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
