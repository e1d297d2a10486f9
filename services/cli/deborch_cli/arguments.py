"""Arguments checked before anything is sent: what cannot be right is told by name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]{0,62}")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@contextmanager
def input_checked() -> Iterator[None]:
    """Around the making of what is sent.

    Raises:
        DeborchError: INVALID_INPUT that names each value that the contract does not allow.
    """
    try:
        yield
    except ValidationError as error:
        problems = error.errors(include_url=False)
        said = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])} {bounded(repr(problem['input']), 80)}: {problem['msg']}"
            for problem in problems
        )
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"not valid: {bounded(said)}",
            hint="nothing was sent; see --help for what is allowed",
        ) from None


def checked_name(value: str) -> str:
    """The name of a target or a host, as it goes into a path.

    Raises:
        DeborchError: INVALID_INPUT if nothing can have that name.
    """
    return _checked(_NAME, value, "nothing is called {}", "names are of lower-case letters, digits and + . _ -")


def checked_key_id(value: str) -> str:
    """The id of an API key, likewise."""
    return _checked(_KEY_ID, value, "{} is not the id of a key", "`deborch key list` shows them")


def _checked(pattern: re.Pattern[str], value: str, message: str, hint: str) -> str:
    if pattern.fullmatch(value) is None:
        raise DeborchError(ErrorCode.INVALID_INPUT, message.format(bounded(repr(value), 80)), hint=hint)
    return value
