"""Sizes and durations as people write them: `4 GiB`, `90 min`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_QUANTITY = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)\s*\Z")
_SIZES = {"": 1, "b": 1} | {
    name: 1 << (10 * power)
    for power, letter in enumerate("kmgt", start=1)
    for name in (letter, f"{letter}b", f"{letter}ib")
}
_DURATIONS = {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def size_bytes(value: object) -> object:
    """Bytes of `512 MiB`, `4G` or a plain number; units are powers of 1024. What is no text is passed on.

    Raises:
        ValueError: it is none of these.
    """
    return round(_quantity(value, _SIZES, "a size such as 512 MiB")) if isinstance(value, str) else value


def duration_s(value: object) -> object:
    """Seconds of `90`, `15 min`, `6 h` or `30 d`. What is no text is passed on.

    Raises:
        ValueError: it is none of these.
    """
    return _quantity(value, _DURATIONS, "a duration such as 15 min") if isinstance(value, str) else value


def _quantity(text: str, units: dict[str, Any], meant: str) -> float:
    match = _QUANTITY.match(text)
    if match is None or match["unit"].lower() not in units:
        raise ValueError(f"{text!r} is not {meant}")
    return float(match["number"]) * float(units[match["unit"].lower()])


_AS_WRITTEN = WithJsonSchema({"type": ["string", "number"]})
Size = Annotated[int, BeforeValidator(size_bytes), _AS_WRITTEN]
Duration = Annotated[float, BeforeValidator(duration_s), _AS_WRITTEN]
