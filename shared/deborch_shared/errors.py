"""One error base: a code, what happened, and what to do next.

The table `ERRORS` is the only place that says which HTTP status a code has and whether trying again can help.
Foreign text (of a subprocess, a request, a peer) is bounded with `bounded` before it goes into a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

MAX_FOREIGN_CHARACTERS = 2_000


class ErrorCode(StrEnum):
    """Every reason for which something is refused or fails. Stable: scripts match on these."""

    BAD_REQUEST = "bad-request"
    INVALID_INPUT = "invalid-input"
    INVALID_SETTING = "invalid-setting"
    INVALID_SOURCE = "invalid-source"
    INVALID_SIGNATURE = "invalid-signature"
    DIGEST_MISMATCH = "digest-mismatch"
    UNSAFE_PATH = "unsafe-path"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    ALREADY_EXISTS = "already-exists"
    VERSION_PRESENT = "version-present"
    ILLEGAL_TRANSITION = "illegal-transition"
    NAME_TAKEN = "name-taken"
    PRECONDITION_FAILED = "precondition-failed"
    TOO_LARGE = "too-large"
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable"
    RATE_LIMITED = "rate-limited"
    UNKNOWN_EVENT = "unknown-event"
    DATABASE_UNAVAILABLE = "database-unavailable"
    BROKER_UNAVAILABLE = "broker-unavailable"
    SERVICE_UNAVAILABLE = "service-unavailable"
    DISK_FULL = "disk-full"
    PROCESS_FAILED = "process-failed"
    PROCESS_TIMEOUT = "process-timeout"
    SANDBOX_FAILED = "sandbox-failed"
    CHROOT_FAILED = "chroot-failed"
    FETCH_FAILED = "fetch-failed"
    DEPENDENCY_WAIT = "dep-wait"
    BUILD_FAILED = "build-failed"
    CHECK_FAILED = "check-failed"
    PLUGIN_FAILED = "plugin-failed"
    CANCELED = "canceled"
    NEEDS_ROOT = "needs-root"
    PORT_TAKEN = "port-taken"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """How one code is shown: HTTP status, title, and whether the same call may succeed later."""

    status: int
    title: str
    temporary: bool = False


ERRORS: Mapping[ErrorCode, ErrorSpec] = MappingProxyType(
    {
        ErrorCode.BAD_REQUEST: ErrorSpec(400, "Bad request"),
        ErrorCode.INVALID_INPUT: ErrorSpec(422, "Invalid input"),
        ErrorCode.INVALID_SETTING: ErrorSpec(500, "Invalid setting"),
        ErrorCode.INVALID_SOURCE: ErrorSpec(422, "Invalid source package"),
        ErrorCode.INVALID_SIGNATURE: ErrorSpec(422, "Invalid signature"),
        ErrorCode.DIGEST_MISMATCH: ErrorSpec(422, "Digest mismatch"),
        ErrorCode.UNSAFE_PATH: ErrorSpec(422, "Unsafe path"),
        ErrorCode.UNAUTHENTICATED: ErrorSpec(401, "Not authenticated"),
        ErrorCode.FORBIDDEN: ErrorSpec(403, "Not permitted"),
        ErrorCode.NOT_FOUND: ErrorSpec(404, "Not found"),
        ErrorCode.METHOD_NOT_ALLOWED: ErrorSpec(405, "Method not allowed"),
        ErrorCode.CONFLICT: ErrorSpec(409, "Conflict"),
        ErrorCode.ALREADY_EXISTS: ErrorSpec(409, "Already exists"),
        ErrorCode.VERSION_PRESENT: ErrorSpec(409, "Version already present"),
        ErrorCode.ILLEGAL_TRANSITION: ErrorSpec(409, "Not possible in this state"),
        ErrorCode.NAME_TAKEN: ErrorSpec(409, "Name already taken"),
        ErrorCode.PRECONDITION_FAILED: ErrorSpec(412, "Precondition failed"),
        ErrorCode.TOO_LARGE: ErrorSpec(413, "Too large"),
        ErrorCode.RANGE_NOT_SATISFIABLE: ErrorSpec(416, "Range not satisfiable"),
        ErrorCode.RATE_LIMITED: ErrorSpec(429, "Too many requests", temporary=True),
        ErrorCode.UNKNOWN_EVENT: ErrorSpec(422, "Unknown event"),
        ErrorCode.DATABASE_UNAVAILABLE: ErrorSpec(503, "Database unavailable", temporary=True),
        ErrorCode.BROKER_UNAVAILABLE: ErrorSpec(503, "Message broker unavailable", temporary=True),
        ErrorCode.SERVICE_UNAVAILABLE: ErrorSpec(503, "Service unavailable", temporary=True),
        ErrorCode.DISK_FULL: ErrorSpec(507, "Disk full", temporary=True),
        ErrorCode.PROCESS_FAILED: ErrorSpec(500, "Process failed"),
        ErrorCode.PROCESS_TIMEOUT: ErrorSpec(500, "Process took too long"),
        ErrorCode.SANDBOX_FAILED: ErrorSpec(500, "Sandbox failed"),
        ErrorCode.CHROOT_FAILED: ErrorSpec(500, "Buildroot could not be made", temporary=True),
        ErrorCode.FETCH_FAILED: ErrorSpec(502, "Download failed", temporary=True),
        ErrorCode.DEPENDENCY_WAIT: ErrorSpec(409, "Build dependencies are not available"),
        ErrorCode.BUILD_FAILED: ErrorSpec(500, "Build failed"),
        ErrorCode.CHECK_FAILED: ErrorSpec(500, "Check failed"),
        ErrorCode.PLUGIN_FAILED: ErrorSpec(500, "Plug-in failed"),
        ErrorCode.CANCELED: ErrorSpec(409, "Canceled"),
        ErrorCode.NEEDS_ROOT: ErrorSpec(500, "Needs root"),
        ErrorCode.PORT_TAKEN: ErrorSpec(500, "Port already taken"),
        ErrorCode.INTERNAL: ErrorSpec(500, "Internal error"),
    }
)


class DeborchError(Exception):
    """What happened (`message`), what to do next (`hint`), a stable `code`, and facts for programs (`fields`)."""

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "", **fields: Any) -> None:  # noqa: ANN401
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.fields: dict[str, Any] = fields

    @property
    def spec(self) -> ErrorSpec:
        return ERRORS[self.code]

    @property
    def temporary(self) -> bool:
        """True if the same call may succeed later with nothing changed by the caller."""
        return self.spec.temporary

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def bounded(text: str | bytes, limit: int = MAX_FOREIGN_CHARACTERS) -> str:
    """`text` made safe to show: decoded, its middle cut out past `limit` characters."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if len(shown) <= limit:
        return shown
    half = limit // 2
    return f"{shown[:half]} … {len(shown) - 2 * half} characters left out … {shown[-half:]}"
