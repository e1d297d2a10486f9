"""YAML and JSON with the line of each key. Duplicate keys, foreign tags and merge keys are refused."""

import json
from pathlib import Path
from typing import Any

import yaml

from deborch_shared.documents.positions import Document, KeyPath, Origin
from deborch_shared.errors import DeborchError, ErrorCode

_MOST_BYTES = 1 << 20
_MOST_NODES = 20_000
_DEEPEST = 40
"""Far above anything that people write: aliases could make a small file endless."""
MEND = "mend the file"
"""Hint where the error says all; who reads a file may know more."""


def read_text(path: Path, place: str) -> str:
    """The content of `path`, shown as `place` in errors.

    Raises:
        DeborchError: INVALID_SETTING
    """
    try:
        with path.open("rb") as source:
            content = source.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise _refused(f"{place}: larger than {_MOST_BYTES} bytes")
        return content.decode()
    except OSError as error:
        message = f"{place}: {error.strerror or error}"
        raise DeborchError(
            ErrorCode.INVALID_SETTING, message, hint="give the path of a file that can be read"
        ) from error
    except UnicodeDecodeError as error:
        raise _refused(f"{place}: not UTF-8") from error


def parse_json(text: str, place: str) -> Document:
    """One JSON document that is a map.

    Raises:
        DeborchError: INVALID_SETTING with file and line.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(f"{Origin(place, error.lineno)}: {error.msg}") from error
    except RecursionError as error:
        raise _refused(f"{place}: too deep") from error
    # JSON is YAML but for tabs, which can only be white space here.
    document = parse_yaml(text.replace("\t", " "), place)
    return Document(values, document.origins)


def parse_yaml(text: str, place: str) -> Document:
    """One YAML document that is a map.

    Raises:
        DeborchError: INVALID_SETTING with file and line.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _refused(f"{Origin(place, line)}: {error.problem or 'no YAML'}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(f"{place}: {error}") from error
    if root is None:
        return Document()
    if not isinstance(root, yaml.MappingNode):
        raise _refused(f"{Origin(place, root.start_mark.line + 1)}: a map of keys is expected")
    reader = _Reader(loader, place)
    return Document(reader.mapping(root, ()), reader.origins)


class _Reader:
    """Turns nodes into plain values, and notes the line of each."""

    def __init__(self, loader: yaml.SafeLoader, place: str) -> None:
        self._loader = loader
        self._place = place
        self._nodes = 0
        self.origins: dict[KeyPath, Origin] = {}

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = Origin(self._place, key_node.start_mark.line + 1)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                raise _refused(f"{at}: a key must be plain text", hint="quote it; for `<<` use include")
            key = str(key_node.value)
            if key in values:
                raise _refused(f"{at}: {key} is there twice, first in line {self.origins[*path, key].line}")
            self.origins[*path, key] = at
            values[key] = self._value(value_node, (*path, key))
        return values

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401 - whatever YAML can say
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise _refused(f"{Origin(self._place, node.start_mark.line + 1)}: too much, or an alias of itself")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self.origins[*path, number] = Origin(self._place, item.start_mark.line + 1)
            return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            at = Origin(self._place, node.start_mark.line + 1)
            raise _refused(f"{at}: {getattr(error, 'problem', None) or error}") from error


def _refused(message: str, *, hint: str = MEND) -> DeborchError:
    return DeborchError(ErrorCode.INVALID_SETTING, message, hint=hint)
