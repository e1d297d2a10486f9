"""Files in YAML or TOML as layers. Duplicate keys, foreign tags and merge keys are refused."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from deb_mock.configuration.layers import KeyPath, Layer, Origin
from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode

SUFFIXES = (".yaml", ".yml", ".toml")
_MOST_BYTES = 1 << 20
_MOST_NODES = 20_000
_DEEPEST = 40
"""Far above any configuration: aliases could make a small file endless."""


def read_document(path: Path, *, shown_as: str = "") -> Layer:
    """The content of `path`.

    Raises:
        DeborchError: INVALID_SETTING with file and line.
    """
    place = shown_as or str(path)
    try:
        with path.open("rb") as source:
            content = source.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise refused(f"{place}: larger than {_MOST_BYTES} bytes")
        text = content.decode()
    except OSError as error:
        raise refused(f"{place}: {error.strerror or error}", hint="give the path of a file that can be read") from error
    except UnicodeDecodeError as error:
        raise refused(f"{place}: not UTF-8") from error
    layer = _toml(text, place) if path.suffix == ".toml" else parse_yaml(text, place)
    layer.directory = path.parent
    return layer


def parse_yaml(text: str, place: str) -> Layer:
    """One YAML document that is a map."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise refused(f"{Origin(place, line)}: {error.problem or 'no YAML'}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise refused(f"{place}: {error}") from error
    if root is None:
        return Layer()
    if not isinstance(root, yaml.MappingNode):
        raise refused(f"{Origin(place, root.start_mark.line + 1)}: a map of keys is expected")
    reader = _YamlReader(loader, place)
    return Layer(reader.mapping(root, ()), reader.origins)


class _YamlReader:
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
                raise refused(f"{at}: a key must be plain text", hint="quote it; for `<<` use include")
            key = str(key_node.value)
            if key in values:
                raise refused(f"{at}: {key} is there twice, first in line {self.origins[*path, key].line}")
            self.origins[*path, key] = at
            values[key] = self._value(value_node, (*path, key))
        return values

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401 - whatever YAML can say
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise refused(f"{Origin(self._place, node.start_mark.line + 1)}: too much, or an alias of itself")
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
            raise refused(f"{at}: {getattr(error, 'problem', None) or error}") from error


def _toml(text: str, place: str) -> Layer:
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise refused(f"{place}: {error}") from error
    origins: dict[KeyPath, Origin] = {}
    _note_toml(values, (), text.splitlines(), place, origins)
    return Layer(values, origins)


def _note_toml(value: Any, path: KeyPath, lines: list[str], place: str, origins: dict[KeyPath, Origin]) -> None:  # noqa: ANN401
    """tomllib tells no lines: each is looked for by its key."""
    if path:
        origins[path] = Origin(place, _toml_line(path, lines))
    if isinstance(value, dict):
        for key, inner in value.items():
            _note_toml(inner, (*path, key), lines, place, origins)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, dict):
                _note_toml(inner, (*path, number), lines, place, origins)


def _toml_line(path: KeyPath, lines: list[str]) -> int | None:
    """The line that sets `path`, by table header and key; None if it is written in another way."""
    names = [part for part in path if isinstance(part, str)]
    index = next((part for part in reversed(path) if isinstance(part, int)), 0)
    table, seen = "", 0
    for number, line in enumerate(lines, start=1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            seen = seen + 1 if header[1] == table else 0
            table = header[1]
            if table.split(".") == names and seen == index:
                return number
        elif assignment := re.match(r'\s*"?([\w.+-]+)"?\s*=', line):
            whole = [*(table.split(".") if table else []), *assignment[1].split(".")]
            if whole == names and seen == index:
                return number
    return None


def refused(message: str, *, hint: str = "mend the configuration; deb-mock config check FILE tries it") -> DeborchError:
    """The error for a configuration that cannot be used."""
    return failure(FailureClass.POLICY, ErrorCode.INVALID_SETTING, message, hint=hint)
