"""Where each value of a document was written."""

from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written."""

    place: str
    line: int | None = None

    def __str__(self) -> str:
        return self.place if self.line is None else f"{self.place}:{self.line}"


@dataclass(slots=True)
class Document:
    """Plain values (maps, lists, scalars) and the origin of each key in them."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> Origin | None:
        """Of `path`, or of the nearest thing that it is part of."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return None


def dotted(path: KeyPath) -> str:
    """`path` as people write it: `plugins[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
