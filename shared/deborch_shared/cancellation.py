"""Only who is told to stop stops: keeps the cancellations of others away from a task that must go on."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CANCEL_AGAIN_S = 1.0


async def apart(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end in a task of its own; cancelling the caller cancels it and waits for it.

    In Python 3.11 and 3.12 a TaskGroup whose child fails while the group is being left marks the task around it as
    cancelled for good, or hides that it was cancelled; and a driver may cancel what waits on its broken connection.
    All of that then happens to the inner task alone. It is cancelled again each second until it ends: a driver may
    swallow a cancellation that comes while it connects.

    Raises:
        RuntimeError: `work` was cancelled, but not by the caller.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
    if task.cancelled():
        raise RuntimeError("the work was cancelled by something that it waited for")
    task.result()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; a cancellation of the caller is raised only once `work` has ended.

    For what undoes or what cannot be undone half, and ends soon by itself.
    """
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return task.result()
    raise cancellation from (None if task.cancelled() else task.exception())
