"""A committed tree as the image writer reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Kind(StrEnum):
    """What a tree can hold; OSTree knows nothing else."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or symbolic link."""

    path: str
    """Without a slash before it; "" is the root itself."""
    kind: Kind
    mode: int
    """Permission bits, with set-id and sticky bits."""
    uid: int
    gid: int
    size_bytes: int
    checksum: str
    """Of content, owner, mode and extended attributes."""
    target: str = ""
    """Of a symbolic link."""


class Tree(Protocol):
    """A commit that is checked out or lies in a repository."""

    @property
    def entries(self) -> Sequence[Entry]:
        """Everything in it, the root too."""

    def content(self, entry: Entry) -> Path:
        """Where the content of a file, with its extended attributes, can be read."""


def image_path(path: str) -> str:
    """Where something of a commit is in an image: a commit keeps /usr/etc, an image has /etc alone."""
    if path == "usr/etc" or path.startswith("usr/etc/"):
        return path.removeprefix("usr/")
    return path
