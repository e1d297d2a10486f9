"""Why a build did not succeed, as one table: class, exit code of the command line, what it means."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from types import MappingProxyType

from deborch_shared.errors import DeborchError, ErrorCode


class FailureClass(StrEnum):
    """The field `failure_class` of each error that the engine raises."""

    DEPENDENCY_WAIT = "dep-wait"
    CHROOT = "chroot-fault"
    FETCH = "fetch-fault"
    COMPILE = "compile"
    TEST = "test"
    INSTALL = "install"
    TIMEOUT = "timeout"
    LOG_IDLE = "log-idle"
    LOG_LIMIT = "log-limit"
    POLICY = "policy"
    KILLED = "killed"
    KILLED_OOM = "killed-oom"
    KILLED_LIMIT = "killed-limit"
    UNREPRODUCIBLE = "unreproducible"


EXIT_CODES: Mapping[FailureClass, int] = MappingProxyType(
    {
        FailureClass.COMPILE: 1,
        FailureClass.POLICY: 3,
        FailureClass.DEPENDENCY_WAIT: 4,
        FailureClass.FETCH: 5,
        FailureClass.CHROOT: 6,
        FailureClass.INSTALL: 7,
        FailureClass.TIMEOUT: 8,
        FailureClass.LOG_LIMIT: 9,
        FailureClass.KILLED: 10,
        FailureClass.TEST: 11,
        FailureClass.LOG_IDLE: 12,
        FailureClass.KILLED_OOM: 13,
        FailureClass.KILLED_LIMIT: 14,
        FailureClass.UNREPRODUCIBLE: 15,
    }
)
"""0 is success and 2 wrong usage, as everywhere; an error of no class is 70 (EX_SOFTWARE)."""
EXIT_UNKNOWN = 70


def failure(kind: FailureClass, code: ErrorCode, message: str, *, hint: str, **fields: object) -> DeborchError:
    """An error that carries its class."""
    return DeborchError(code, message, hint=hint, failure_class=kind.value, **fields)


@contextmanager
def failures_are(kind: FailureClass) -> Iterator[None]:
    """Give `kind` to each DeborchError raised within that has no class yet."""
    try:
        yield
    except DeborchError as error:
        error.fields.setdefault("failure_class", kind.value)
        raise


def exit_code(error: DeborchError) -> int:
    """What the command line returns for `error`."""
    kind = error.fields.get("failure_class")
    return EXIT_CODES[FailureClass(kind)] if kind else EXIT_UNKNOWN
