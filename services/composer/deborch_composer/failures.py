"""What an error is called in a report, and what a person reads of it."""

import errno
from collections.abc import Mapping
from types import MappingProxyType

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_MESSAGE_CHARACTERS = 4_000
_BY_CODE: Mapping[ErrorCode, str] = MappingProxyType(
    {
        ErrorCode.FETCH_FAILED: "fetch-fault",
        ErrorCode.DIGEST_MISMATCH: "fetch-fault",
        ErrorCode.NOT_FOUND: "fetch-fault",
        ErrorCode.UNAUTHENTICATED: "host",
        ErrorCode.DISK_FULL: "host",
        ErrorCode.NEEDS_ROOT: "host",
        ErrorCode.INVALID_INPUT: "treefile",
        ErrorCode.UNSAFE_PATH: "treefile",
        ErrorCode.PROCESS_TIMEOUT: "timeout",
    }
)
"""For errors that do not say it themselves in their field `failure_class`."""


def failure_class_of(error: BaseException) -> str:
    if isinstance(error, OSError):
        return "host" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "internal"
    if not isinstance(error, DeborchError):
        return "internal"
    return bounded(str(error.fields.get("failure_class") or _BY_CODE.get(error.code, "internal")), 40)


def message_of(error: BaseException) -> str:
    """What a person reads of it; an unexpected error's details stay in this host's log."""
    if isinstance(error, DeborchError | OSError):
        return bounded(str(error), _MESSAGE_CHARACTERS)
    return f"the composer failed by an unexpected {type(error).__name__}; its log has the details"
