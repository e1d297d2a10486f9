"""Not losing a cancellation: a TaskGroup that is cancelled while a child fails raises the failure alone."""

import asyncio


def raise_if_cancelled() -> None:
    """Go on with a cancellation that an exception group has hidden; call it where such a group was handled.

    Python 3.11 and 3.12 have this gap; 3.13 cancels the parent again by itself.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
