"""What pydantic refuses, told with file, line, key and the nearest key that there is."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from deb_mock.configuration.documents import refused
from deb_mock.configuration.layers import KeyPath, Layer, Origin
from deborch_shared.errors import DeborchError, bounded

_MOST_SHOWN = 8


def explained(error: ValidationError, layer: Layer, model: type[BaseModel]) -> DeborchError:
    """`error` as ours: a line for each problem."""
    lines = list(dict.fromkeys(_lines(error, layer, model)))
    more = f"\nand {len(lines) - _MOST_SHOWN} more" if len(lines) > _MOST_SHOWN else ""
    return refused("\n".join(lines[:_MOST_SHOWN]) + more)


def _lines(error: ValidationError, layer: Layer, model: type[BaseModel]) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        path = _written(problem["loc"], layer.values)
        key = dotted(path)
        origin = layer.origin(path) or _first_below(path, layer)
        where = f"{origin}: " if origin else ""
        if problem["type"] == "extra_forbidden":
            yield f"{where}{key} is no key{_nearest(str(path[-1]), _keys_at(model, path[:-1]))}"
        elif problem["type"] == "missing":
            yield f"{where}{key} is missing"
        else:
            given = bounded(repr(problem["input"]), 120)
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{where}{key}: {message}" + ("" if given in message else f" (it is {given})")


def _first_below(path: KeyPath, layer: Layer) -> Origin | None:
    """Where a section that is no key comes from, if only what is in it was given."""
    return next((origin for key, origin in layer.origins.items() if key[: len(path)] == path), None)


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


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; the nearest is {close[0]}" if close else f"; there are {', '.join(known)}"


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    for step in path:
        if isinstance(step, str) and step in model.model_fields:
            model = next(iter(_models_in(model.model_fields[step].annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: object) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def dotted(path: KeyPath) -> str:
    """`path` as people write it: `plugins[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
