"""The form of a build log: a head, one section a stage, a summary. For people to read and for programs to take apart.

Headings look like sbuild's, so that tools for its logs find them. What a build writes could look the same; the true
places are in the report.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deb_mock.model import Stage

_WIDTH = 80
_HEADING = re.compile(rb"^\+-{78}\+\n\| (?P<title>.{76}) \|\n\+-{78}\+\n", re.MULTILINE)
_BOX = re.compile(rb"^(?P<rule>\+(?:-{78}|={78})\+)\n\|[^\n]{78,400}\|\n(?P=rule)$", re.MULTILINE)
SUMMARY = "Summary"
TITLES: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.SOURCE: "Source package",
        Stage.BASE: "Base",
        Stage.DEPENDENCIES: "Build dependencies",
        Stage.BUILDROOT: "Buildroot",
        Stage.UNPACK: "Unpack",
        Stage.BUILD: "Build",
        Stage.COLLECT: "Results",
        Stage.CHECK: "Checks",
    }
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a log, with its heading."""

    title: str
    offset_bytes: int
    size_bytes: int


def title_of(stage: Stage) -> str:
    """The heading of the section that `stage` writes."""
    return TITLES.get(stage, stage.value.capitalize())


def head(left: str, right: str) -> bytes:
    """The box at the start of a log."""
    room = _WIDTH - 4 - len(right) - 1
    return _box(f"{left[:room]:<{room}} {right}", "=")


def heading(title: str) -> bytes:
    """The box at the start of a section."""
    return b"\n" + _box(f"{title[: _WIDTH - 4]:<{_WIDTH - 4}}", "-")


def facts(pairs: Iterable[tuple[str, object]]) -> bytes:
    """Lines of `Name: value`; what is empty is left out."""
    lines = (f"{name}: {value}\n" for name, value in pairs if value not in ("", None, (), []))
    return "".join(lines).encode()


def sections(log: bytes) -> list[Section]:
    """The sections of a whole log, in order, by their headings."""
    found = list(_HEADING.finditer(log))
    ends = [match.start() for match in found[1:]] + [len(log)]
    return [
        Section(match["title"].decode("utf-8", "replace").strip(), match.start(), end - match.start())
        for match, end in zip(found, ends, strict=True)
    ]


def without_boxes(log: bytes) -> bytes:
    """`log` with empty lines in place of the head and the headings."""
    return _BOX.sub(b"\n\n", log)


def _box(text: str, line: str) -> bytes:
    rule = f"+{line * (_WIDTH - 2)}+"
    return f"{rule}\n| {text} |\n{rule}\n\n".encode()
