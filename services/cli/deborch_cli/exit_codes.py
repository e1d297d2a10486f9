"""What the command's exit status says to a script, once, as data."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from deborch_shared.errors import ErrorCode


class ExitCode(IntEnum):
    """Stable: scripts branch on these. docs/reference/cli.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    DEPENDENCY_WAIT = 7
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return MEANINGS[self]


MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.OK: "done; a watched build completed",
        ExitCode.FAILED: "the thing itself failed, such as a watched build",
        ExitCode.USAGE: "wrong usage or bad input; nothing was changed",
        ExitCode.DENIED: "not logged in, or not permitted",
        ExitCode.NOT_FOUND: "there is no such thing",
        ExitCode.CONFLICT: "it exists already, or its state does not allow this",
        ExitCode.UNAVAILABLE: "a service cannot be reached or is busy; the same command may succeed later",
        ExitCode.DEPENDENCY_WAIT: "a watched build waits for build dependencies that no archive has yet",
        ExitCode.INTERRUPTED: "interrupted by Ctrl-C; what was submitted goes on",
    }
)

EXIT_CODES: Mapping[ErrorCode, ExitCode] = MappingProxyType(
    {
        ErrorCode.BAD_REQUEST: ExitCode.USAGE,
        ErrorCode.METHOD_NOT_ALLOWED: ExitCode.USAGE,
        ErrorCode.INVALID_INPUT: ExitCode.USAGE,
        ErrorCode.INVALID_SETTING: ExitCode.USAGE,
        ErrorCode.INVALID_SOURCE: ExitCode.USAGE,
        ErrorCode.INVALID_SIGNATURE: ExitCode.USAGE,
        ErrorCode.DIGEST_MISMATCH: ExitCode.USAGE,
        ErrorCode.UNSAFE_PATH: ExitCode.USAGE,
        ErrorCode.TOO_LARGE: ExitCode.USAGE,
        ErrorCode.RANGE_NOT_SATISFIABLE: ExitCode.USAGE,
        ErrorCode.UNKNOWN_EVENT: ExitCode.USAGE,
        ErrorCode.UNAUTHENTICATED: ExitCode.DENIED,
        ErrorCode.FORBIDDEN: ExitCode.DENIED,
        ErrorCode.NEEDS_ROOT: ExitCode.DENIED,
        ErrorCode.NOT_FOUND: ExitCode.NOT_FOUND,
        ErrorCode.CONFLICT: ExitCode.CONFLICT,
        ErrorCode.ALREADY_EXISTS: ExitCode.CONFLICT,
        ErrorCode.VERSION_PRESENT: ExitCode.CONFLICT,
        ErrorCode.ILLEGAL_TRANSITION: ExitCode.CONFLICT,
        ErrorCode.NAME_TAKEN: ExitCode.CONFLICT,
        ErrorCode.PRECONDITION_FAILED: ExitCode.CONFLICT,
        ErrorCode.PORT_TAKEN: ExitCode.CONFLICT,
        ErrorCode.RATE_LIMITED: ExitCode.UNAVAILABLE,
        ErrorCode.DATABASE_UNAVAILABLE: ExitCode.UNAVAILABLE,
        ErrorCode.BROKER_UNAVAILABLE: ExitCode.UNAVAILABLE,
        ErrorCode.SERVICE_UNAVAILABLE: ExitCode.UNAVAILABLE,
        ErrorCode.DISK_FULL: ExitCode.UNAVAILABLE,
        ErrorCode.FETCH_FAILED: ExitCode.UNAVAILABLE,
        ErrorCode.DEPENDENCY_WAIT: ExitCode.DEPENDENCY_WAIT,
        ErrorCode.PROCESS_FAILED: ExitCode.FAILED,
        ErrorCode.PROCESS_TIMEOUT: ExitCode.FAILED,
        ErrorCode.SANDBOX_FAILED: ExitCode.FAILED,
        ErrorCode.CHROOT_FAILED: ExitCode.FAILED,
        ErrorCode.BUILD_FAILED: ExitCode.FAILED,
        ErrorCode.CHECK_FAILED: ExitCode.FAILED,
        ErrorCode.PLUGIN_FAILED: ExitCode.FAILED,
        ErrorCode.CANCELED: ExitCode.FAILED,
        ErrorCode.INTERNAL: ExitCode.FAILED,
    }
)
