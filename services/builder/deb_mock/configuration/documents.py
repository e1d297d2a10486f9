"""Files in YAML or TOML as layers. Duplicate keys, foreign tags and merge keys are refused."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deb_mock.configuration.layers import Layer
from deb_mock.failures import FailureClass, failure, failures_are
from deborch_shared.documents import reading
from deborch_shared.documents.positions import KeyPath, Origin
from deborch_shared.documents.reading import read_text
from deborch_shared.errors import DeborchError, ErrorCode

SUFFIXES = (".yaml", ".yml", ".toml")
_MEND = "mend the configuration; deb-mock config check FILE tries it"


def read_document(path: Path, *, shown_as: str = "") -> Layer:
    """The content of `path`.

    Raises:
        DeborchError: INVALID_SETTING with file and line.
    """
    place = shown_as or str(path)
    with _refusals():
        text = read_text(path, place)
    layer = _toml(text, place) if path.suffix == ".toml" else parse_yaml(text, place)
    layer.directory = path.parent
    return layer


def parse_yaml(text: str, place: str) -> Layer:
    """One YAML document that is a map."""
    with _refusals():
        document = reading.parse_yaml(text, place)
    return Layer(document.values, document.origins)


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors of the reader as those of a configuration."""
    with failures_are(FailureClass.POLICY):
        try:
            yield
        except DeborchError as error:
            if error.hint == reading.MEND:
                error.hint = _MEND
            raise


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


def refused(message: str, *, hint: str = _MEND) -> DeborchError:
    """The error for a configuration that cannot be used."""
    return failure(FailureClass.POLICY, ErrorCode.INVALID_SETTING, message, hint=hint)
