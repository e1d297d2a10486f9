"""A start that may take long, since it waits for others: a stop ends it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from deborch_shared.lifecycle import Lifecycle

ResultT = TypeVar("ResultT")


async def unless_stopped(lifecycle: Lifecycle, work: Coroutine[Any, Any, ResultT]) -> ResultT | None:
    """The result of `work`, or None if the service is told to stop before it is there."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(lifecycle.stopping.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait({working})
    return None if working.cancelled() else working.result()
