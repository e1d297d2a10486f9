"""Digests of JSON values and files: what decides whether a phase has to run again."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

JsonObject = dict[str, Any]
"""What JSON can say, with text as keys."""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """One spelling of `value`: keys sorted, no white space."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest_of(value: Any) -> str:  # noqa: ANN401 - whatever JSON can say
    """SHA-256 of `canonical(value)`, as hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of the content of `path`, as hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
