"""What stands around every piece of the engine's work: a time limit, and errors of the system made ours."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from deb_mock.failures import FailureClass, failure, failures_are
from deborch_shared.errors import ErrorCode


@asynccontextmanager
async def time_limit(timeout_s: float) -> AsyncIterator[asyncio.Timeout]:
    """End what runs within after `timeout_s`, with a failure of class timeout."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            yield limit
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise failure(
            FailureClass.TIMEOUT,
            ErrorCode.PROCESS_TIMEOUT,
            f"the build took longer than {timeout_s:g} s and was ended",
            hint="the end of the log shows what it did last; raise --timeout if it needs more",
        ) from error


_FREE_SPACE = "free space in the state, cache and result directories"
_HINTS = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.ENOENT: "check the path: nothing is there",
    errno.ENOTDIR: "check the path: a part of it is no directory",
    errno.EACCES: "check owner and permissions of it and of the directories above",
    errno.EPERM: "check owner and permissions of it and of the directories above",
    errno.EROFS: "name a directory on a disk that can be written",
}
"""What to do about an error of the system."""


@contextmanager
def plain_failures() -> Iterator[None]:
    """Errors of the system become ours: a full disk says so, and nothing is without a class."""
    try:
        with failures_are(FailureClass.CHROOT):
            yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = _HINTS.get(error.errno or 0, "check the file or directory that is named, and its disk")
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.DISK_FULL if full else ErrorCode.CHROOT_FAILED,
            f"{error.filename or 'the builder'}: {error.strerror or error}",
            hint=hint,
        ) from error
