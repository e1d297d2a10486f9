"""Only who is told to stop stops: keeps the cancellations of others away from a task that must go on."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def apart(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end in a task of its own; cancelling the caller cancels it and waits for it.

    In Python 3.11 and 3.12 a TaskGroup whose child fails while the group is being left marks the task around it as
    cancelled for good, or hides that it was cancelled; and a driver may cancel what waits on its broken connection.
    All of that then happens to the inner task alone.

    Raises:
        RuntimeError: `work` was cancelled, but not by the caller.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
        await asyncio.wait({task})
    if task.cancelled():
        raise RuntimeError("the work was cancelled by something that it waited for")
    task.result()
