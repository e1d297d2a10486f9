"""Which failure class an error is, as data. What follows from a class is the hub's table."""

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast, get_args

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.events.model import FailureClass

_MESSAGE_CHARACTERS = 4_000
_KNOWN = frozenset(get_args(FailureClass))
_BY_CODE: Mapping[ErrorCode, FailureClass] = MappingProxyType(
    {
        ErrorCode.DEPENDENCY_WAIT: "dep-wait",
        ErrorCode.CHROOT_FAILED: "chroot-fault",
        ErrorCode.SANDBOX_FAILED: "chroot-fault",
        ErrorCode.DISK_FULL: "chroot-fault",
        ErrorCode.NEEDS_ROOT: "chroot-fault",
        ErrorCode.FETCH_FAILED: "fetch-fault",
        ErrorCode.DIGEST_MISMATCH: "fetch-fault",
        ErrorCode.NOT_FOUND: "fetch-fault",
        ErrorCode.UNAUTHENTICATED: "host-lost",
        ErrorCode.INTERNAL: "internal",
        ErrorCode.BUILD_FAILED: "compile",
        ErrorCode.PROCESS_TIMEOUT: "timeout",
        ErrorCode.INVALID_SOURCE: "policy",
        ErrorCode.INVALID_SIGNATURE: "policy",
        ErrorCode.UNSAFE_PATH: "policy",
    }
)
"""For errors that do not say it themselves in their field `failure_class`."""


def failure_class_of(error: BaseException) -> FailureClass:
    if isinstance(error, OSError):
        return "chroot-fault" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "internal"
    if not isinstance(error, DeborchError):
        return "internal"
    said = error.fields.get("failure_class")
    if said in _KNOWN:
        return cast(FailureClass, str(said))
    return _BY_CODE.get(error.code, "internal")


def message_of(error: BaseException) -> str:
    """What a person reads of it; an unexpected error's details stay in this host's log."""
    if isinstance(error, DeborchError | OSError):
        return bounded(str(error), _MESSAGE_CHARACTERS)
    return f"the builder failed by an unexpected {type(error).__name__}; its log has the details"


def missing_of(error: BaseException) -> tuple[str, ...]:
    """The build dependencies that a dep-wait waits for."""
    missing = error.fields.get("missing", ()) if isinstance(error, DeborchError) else ()
    return tuple(bounded(str(name), 200) for name in missing)
