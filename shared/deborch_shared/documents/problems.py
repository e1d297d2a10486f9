"""What pydantic refuses, told with file, line, key and the nearest key that there is."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from deborch_shared.documents.positions import Document, KeyPath, Origin, dotted
from deborch_shared.errors import bounded

_KINDS = {
    "bool": "true or false is expected",
    "dict": "a map is expected",
    "float": "a number is expected",
    "frozenset": "a list is expected",
    "int": "a whole number is expected",
    "list": "a list is expected",
    "mapping": "a map is expected",
    "model": "a map is expected",
    "set": "a list is expected",
    "string": "text is expected",
    "tuple": "a list is expected",
}
"""By the begin of pydantic's name for what is wrong: what to write, as those who write YAML call it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a document."""

    key: str
    message: str
    """Goes on where the key ends: `is missing`, `: a number is expected`."""
    origin: Origin | None = None
    path: KeyPath = field(default=(), compare=False)
    """`key` in steps, where a model found it."""

    def __str__(self) -> str:
        return (f"{self.origin}: " if self.origin else "") + self.key + self.message


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> Iterator[Problem]:
    """Each thing that `model` found wrong in `document`."""
    for found in error.errors(include_url=False):
        path = _written(found["loc"], document.values)
        origin = document.origin(path) or _first_below(path, document)
        yield Problem(dotted(path), _message(found, path, model), origin, path)


def _message(found: ErrorDetails, path: KeyPath, model: type[BaseModel]) -> str:
    if found["type"] == "extra_forbidden":
        return f" is no key{nearest(str(path[-1]), keys_at(model, path[:-1]))}"
    if found["type"] == "missing":
        return " is missing"
    given = bounded(repr(found["input"]), 120)
    kind, _, wrong = found["type"].partition("_")
    by_kind = wrong in {"type", "parsing"} or (kind, wrong) == ("int", "from_float")
    message = _KINDS[kind] if by_kind and kind in _KINDS else found["msg"].removeprefix("Value error, ")
    message = re.sub(r"^Input should be (?=')(.*)", r"\1 is expected", message)
    return f": {message}" + ("" if given in message else f" (it is {given})")


def nearest(key: str, known: list[str]) -> str:
    """The end of a sentence: which of `known` is meant by `key`, or which there are."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; the nearest is {close[0]}" if close else f"; there are {', '.join(known)}"


def keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys, as they are written, of the part of `model` that `path` leads to."""
    for step in path:
        if isinstance(step, str) and (field := _fields(model).get(step)) is not None:
            model = next(iter(_models_in(field)), model)
    return list(_fields(model))


def _fields(model: type[BaseModel]) -> Mapping[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: object) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _first_below(path: KeyPath, document: Document) -> Origin | None:
    """Where a section that is no key comes from, if only what is in it was given."""
    return next((origin for key, origin in document.origins.items() if key[: len(path)] == path), None)


def _written(location: Iterable[str | int], values: Mapping[str, Any]) -> KeyPath:
    """`location` without the steps that pydantic takes for unions, which nobody wrote."""
    path: list[str | int] = []
    here: Any = values
    for step in location:
        if isinstance(here, dict) and (step in here or not path):
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        elif isinstance(here, dict) and isinstance(step, str) and step.isidentifier() and step.islower():
            here = None
        else:
            continue
        path.append(step)
    return tuple(path)
