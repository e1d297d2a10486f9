"""Repositories in the format of apt's own `.sources` files."""

from collections.abc import Iterator
from typing import Any

from debian.deb822 import Deb822

from deb_bootc_compose.treefile.nodes import Node

_LISTS = {"uris": "uris", "suites": "suites", "components": "components"}
_NO = ("no", "false", "0", "off", "disable")


class SourcesTextError(ValueError):
    """The text says why."""


def repositories_of(text: str, name: str, at: Node) -> Iterator[Node]:
    """A node like an entry of `repositories` for each stanza that is enabled.

    Raises:
        SourcesTextError: A field is not known here.
    """
    stanzas = [stanza for stanza in Deb822.iter_paragraphs(text.splitlines(), use_apt_pkg=False) if stanza]
    if not stanzas:
        raise SourcesTextError("no stanza with Types, URIs and Suites is in it")
    for number, stanza in enumerate(stanzas, start=1):
        fields = {str(key).lower(): str(value) for key, value in stanza.items()}
        if fields.pop("enabled", "yes").lower() not in _NO:
            values = _values(fields) | {"name": name if len(stanzas) == 1 else f"{name}-{number}"}
            yield Node({key: _node(value, at) for key, value in values.items()}, at.origin)


def _values(fields: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if key == "types" and "deb" not in value.split():
            raise SourcesTextError(f"Types: {value}: deb is expected")
        if key in _LISTS:
            values[_LISTS[key]] = value.split()
        elif key == "signed-by":
            lines = ["" if line.strip() == "." else line.strip() for line in value.strip().splitlines()]
            values[key] = "\n".join(lines)
        elif key == "check-valid-until":
            values[key] = value.lower() not in _NO
        elif key not in ("types", "architectures") and not key.startswith("x-"):
            raise SourcesTextError(f"the field {key} is not supported")
    return values


def _node(value: Any, at: Node) -> Node:  # noqa: ANN401
    return Node([Node(item, at.origin) for item in value] if isinstance(value, list) else value, at.origin)
