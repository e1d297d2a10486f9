"""What is tried again, how often and when; and how every other failure becomes one of ours."""

import asyncio
import errno
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from deb_bootc_compose.failures import FailureClass, failure, failures_are
from deb_bootc_compose.phases.progress import Progress
from deborch_shared.errors import DeborchError, ErrorCode, bounded

WAITS_S = (2.0, 10.0)
"""Before the second and the third attempt."""
_NOT_BY_ITSELF = frozenset({ErrorCode.DISK_FULL})
"""Temporary, but somebody has to do something first."""


def wait_before_retry_s(error: DeborchError, attempt: int) -> float | None:
    """How long to wait after the failed `attempt` (counted from 1); None: it is not tried again."""
    if not error.temporary or error.code in _NOT_BY_ITSELF or attempt > len(WAITS_S):
        return None
    return WAITS_S[attempt - 1]


@asynccontextmanager
async def time_limit(phase: str, timeout_s: float | None) -> AsyncIterator[None]:
    """End what runs within after `timeout_s`, with a failure of class timeout."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise failure(
            FailureClass.TIMEOUT,
            ErrorCode.PROCESS_TIMEOUT,
            f"the phase {phase} took longer than {timeout_s:g} s and was ended",
            hint="the end of its log shows what it did last; raise it in phase-timeouts-s of the treefile",
        ) from error


@contextmanager
def our_failures(phase: str, progress: Progress) -> Iterator[None]:
    """Errors of the system and of plug-ins become ours, with a class; what a plug-in did wrong goes to the log."""
    try:
        with failures_are(FailureClass.HOST):
            yield
    except DeborchError:
        raise
    except OSError as error:
        raise _of_the_system(phase, error) from error
    except Exception as error:
        progress.log("".join(traceback.format_exception(error)).encode())
        reason = bounded(f"{type(error).__name__}: {error}", 500)
        raise failure(
            FailureClass.HOST,
            ErrorCode.INTERNAL,
            f"the phase {phase} failed in a way that it does not know: {reason}",
            hint="its log has the traceback: report it to who wrote the phase",
        ) from error


def _of_the_system(phase: str, error: OSError) -> DeborchError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return failure(
        FailureClass.HOST,
        ErrorCode.DISK_FULL if full else ErrorCode.INTERNAL,
        f"{phase}: {error.filename or 'the system'}: {error.strerror or error}",
        hint="free space in the state directory (`deb-bootc-compose gc`) and resume" if full else "see the message",
    )
