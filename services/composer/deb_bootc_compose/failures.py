"""Why a compose did not succeed, as one table: class, exit code of the command line, what it means."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from types import MappingProxyType

from deborch_shared.errors import DeborchError, ErrorCode


class FailureClass(StrEnum):
    """The field `failure_class` of each error that the engine raises."""

    TREEFILE = "treefile"
    """The treefile is wrong: the author has to mend it."""
    FETCH = "fetch-fault"
    """An archive, a registry or a hub could not be reached, or gave what it should not."""
    SIGNATURE = "signature"
    """A repository or a commit is not signed by whom it should be."""
    RESOLVE = "resolve"
    """The packages cannot be installed together, or are not there."""
    BUILD = "build"
    """A source package that the compose needs did not build."""
    TREE = "tree"
    """The root filesystem could not be made: a maintainer script, a post-process script, a layout rule."""
    OUTPUT = "output"
    """An image could not be made."""
    LINT = "lint"
    """What was made breaks a rule of bootable containers."""
    BOOT = "boot"
    """The disk did not boot, upgrade or roll back."""
    PROMOTION = "promotion"
    """The ref moved meanwhile, or a registry refused."""
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    HOST = "host"
    """This machine lacks something: root, space, a tool."""


EXIT_CODES: Mapping[FailureClass, int] = MappingProxyType(
    {
        FailureClass.TREEFILE: 3,
        FailureClass.RESOLVE: 4,
        FailureClass.FETCH: 5,
        FailureClass.SIGNATURE: 6,
        FailureClass.BUILD: 7,
        FailureClass.TIMEOUT: 8,
        FailureClass.TREE: 9,
        FailureClass.CANCELED: 10,
        FailureClass.OUTPUT: 11,
        FailureClass.LINT: 12,
        FailureClass.BOOT: 13,
        FailureClass.PROMOTION: 14,
        FailureClass.HOST: 15,
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
