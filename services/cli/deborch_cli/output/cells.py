"""One value in two forms: short and coloured for a terminal, whole and plain for a pipe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from rich.text import Text

from deborch_cli.output import humanise

NOTHING = "-"
_SEQUENCE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?"
_COLOUR = r"\x1b\[[0-9;]*m"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
_ESCAPE = re.compile(_SEQUENCE)
_OBEYED = re.compile(f"(?!{_COLOUR}){_SEQUENCE}|{_CONTROL}")
STATE_STYLES: Mapping[str, str] = MappingProxyType(
    {
        "blocked": "yellow",
        "free": "cyan",
        "assigned": "blue",
        "running": "bold blue",
        "building": "bold blue",
        "publishing": "magenta",
        "completed": "green",
        "requested": "cyan",
        "waiting": "bright_black",
        "finished": "green",
        "finished_incomplete": "yellow",
        "done": "green",
        "reused": "green",
        "skipped": "bright_black",
        "failed": "bold red",
        "canceled": "bright_black",
        "enabled": "green",
        "draining": "yellow",
        "disabled": "red",
        "offline": "bold red",
        "online": "green",
        "active": "green",
        "expired": "yellow",
        "revoked": "bright_black",
    }
)
"""The colour of each state that anything can be in."""


@dataclass(frozen=True, slots=True)
class State:
    """A state, in its colour, and what is added to it: `blocked (tasks)`."""

    name: str
    detail: str = ""

    def plain(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name

    def rich(self) -> Text:
        return Text(self.plain(), style=STATE_STYLES.get(self.name, ""))


@dataclass(frozen=True, slots=True)
class Age:
    """A time: how long ago on a terminal, ISO 8601 in a pipe."""

    at: datetime | None

    def plain(self) -> str:
        return self.at.astimezone(UTC).isoformat(timespec="seconds") if self.at else NOTHING

    def rich(self) -> Text:
        return Text(humanise.age(self.at)) if self.at else _nothing()


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time: `3 min 20 s` on a terminal, seconds in a pipe."""

    seconds: float | None

    def plain(self) -> str:
        return f"{self.seconds:.1f}" if self.seconds is not None else NOTHING

    def rich(self) -> Text:
        return Text(humanise.duration(self.seconds)) if self.seconds is not None else _nothing()

    @classmethod
    def between(cls, began: datetime | None, ended: datetime | None) -> "Duration":
        """From `began` until `ended`, or until now while it goes on."""
        return cls(((ended or datetime.now(UTC)) - began).total_seconds() if began else None)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes: `3.4 MiB` on a terminal, the number in a pipe."""

    size_bytes: int

    def plain(self) -> str:
        return str(self.size_bytes)

    def rich(self) -> Text:
        return Text(humanise.size(self.size_bytes))


@dataclass(frozen=True, slots=True)
class Identity:
    """What a thing is called by: the first thing that one looks for."""

    value: str | int

    def plain(self) -> str:
        return str(self.value)

    def rich(self) -> Text:
        return Text(str(self.value), style="bold")


@dataclass(frozen=True, slots=True)
class Url:
    """An address to click on or to copy."""

    value: str

    def plain(self) -> str:
        return self.value

    def rich(self) -> Text:
        return Text(self.value, style=f"underline link {self.value}" if self.value.startswith("http") else "")


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256: its beginning on a terminal, since nobody compares more by eye."""

    sha256: str

    def plain(self) -> str:
        return self.sha256

    def rich(self) -> Text:
        return Text(f"{self.sha256[:12]}…", style="bright_black")


Value = State | Age | Duration | Size | Identity | Url | Digest
Cell = Value | str | int | float | None


def plain(cell: Cell) -> str:
    """For a pipe; control characters of foreign text cannot reach a terminal or break a line."""
    if isinstance(cell, Value):
        return printable(cell.plain())
    return NOTHING if cell is None or cell == "" else printable(str(cell))


def rich(cell: Cell) -> Text:
    """For a terminal."""
    if isinstance(cell, Value):
        text = cell.rich()
        text.plain = printable(text.plain)
        return text
    return _nothing() if cell is None or cell == "" else Text(printable(str(cell)))


def printable(text: str) -> str:
    """`text` on one line with nothing in it that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in _ESCAPE.sub("", text))


def harmless(text: str) -> str:
    """Text of many lines for a terminal: colours stay, whatever else a terminal would obey goes."""
    return _OBEYED.sub("", text)


def _nothing() -> Text:
    return Text(NOTHING, style="bright_black")
