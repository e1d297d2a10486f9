"""Who still uses a directory: a lock that a child inherits, so that it is held until the child is really gone.

When a stack is killed its children are told to end, and take a moment to drain. A stack that is started in that
moment must wait for them: two RabbitMQ nodes over one directory would destroy it.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from deborch_cli.local.files import private_directory
from deborch_shared.errors import DeborchError, ErrorCode

WAIT_S = 60.0
_CHECK_EVERY_S = 0.05


async def wait_until_free(lock: Path, what: str, *, wait_s: float = WAIT_S) -> None:
    """Wait for an earlier instance of `what` to be gone.

    Raises:
        DeborchError: CONFLICT if it still runs after `wait_s`.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            os.close(take(lock, what))
        except DeborchError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return
        await asyncio.sleep(_CHECK_EVERY_S)


def take(lock: Path, what: str) -> int:
    """A descriptor that holds the lock: pass it to the child and close it here.

    Raises:
        DeborchError: CONFLICT if an earlier instance holds it.
    """
    private_directory(lock.parent)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"{what} of an earlier start still runs in {lock.parent}",
            hint=f"wait for it to end, or find and end it: fuser {lock}",
        ) from None
    return descriptor
