"""Values with their origins, and how one layer goes over another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deborch_shared.documents.positions import Document, KeyPath, Origin

APPEND = "+"


@dataclass(slots=True)
class Layer(Document):
    """A document that goes over others."""

    directory: Path | None = None
    """What relative paths in it are relative to."""

    def put_over(self, lower: "Layer") -> "Layer":
        """Scalars and lists replace, maps merge, and a list whose key ends in `+` is added to the one below.

        Where there is none below yet, the key keeps its `+`; `settled` ends that.
        """
        result = Layer(dict(lower.values), dict(lower.origins))
        _put(self, result, self.values, result.values, ())
        return result

    def settled(self, defaults: Mapping[str, Any]) -> "Layer":
        """With no `+` left: what is not in any layer is in `defaults`."""
        bottom = Layer()
        _take_defaults(self.values, defaults, bottom.values)
        return self.put_over(bottom)


def _put(upper: Layer, result: Layer, values: Mapping[str, Any], into: dict[str, Any], path: KeyPath) -> None:
    for key, value in values.items():
        name = key.removesuffix(APPEND)
        written = (*path, key)
        below = next((one for one in (name, name + APPEND) if isinstance(into.get(one), list)), None)
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            into[key] = dict(into[key])
            _put(upper, result, value, into[key], written)
        elif key.endswith(APPEND) and isinstance(value, list) and below is not None:
            here = (*path, below)
            _copy_origins(upper, result, written, here, offset=len(into[below]))
            both = ", ".join(str(origin) for origin in (result.origins.get(here), upper.origins.get(written)) if origin)
            into[below] = [*into[below], *value]
            result.origins[here] = Origin(both)
        else:
            for replaced in (name, name + APPEND):
                into.pop(replaced, None)
                _forget(result, (*path, replaced))
            into[key] = value
            _copy_origins(upper, result, written, written, offset=0)
            if origin := upper.origins.get(written):
                result.origins[written] = origin


def _take_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any], into: dict[str, Any]) -> None:
    """The defaults of lists that are only added to."""
    for key, value in values.items():
        name = key.removesuffix(APPEND)
        if key != name and isinstance(value, list) and isinstance(defaults.get(name), list | tuple):
            into[name] = list(defaults[name])
        elif isinstance(value, dict) and isinstance(defaults.get(key), Mapping):
            into[key] = {}
            _take_defaults(value, defaults[key], into[key])


def _forget(result: Layer, path: KeyPath) -> None:
    for known in [known for known in result.origins if known[: len(path)] == path]:
        del result.origins[known]


def _copy_origins(upper: Layer, result: Layer, written: KeyPath, here: KeyPath, *, offset: int) -> None:
    """Of what is below `written`; items of a list come after the `offset` that are there."""
    for path, origin in upper.origins.items():
        if len(path) > len(written) and path[: len(written)] == written:
            first, *rest = path[len(written) :]
            result.origins[*here, first + offset if isinstance(first, int) else first, *rest] = origin
