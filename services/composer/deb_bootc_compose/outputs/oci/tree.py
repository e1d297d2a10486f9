"""A committed tree as the image writer reads it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.commits.listing import CommittedFile


class Tree(Protocol):
    """A commit that lies in a repository."""

    @property
    def files(self) -> Sequence[CommittedFile]:
        """Everything in it, directories and the root too."""

    def content(self, file: CommittedFile) -> Path:
        """Where the content of a file, with its extended attributes, can be read."""


def image_path(path: str) -> str:
    """Where something of a commit is in an image, with no slash before it: a commit keeps /usr/etc, an image /etc."""
    if path == "/usr/etc" or path.startswith("/usr/etc/"):
        return path.removeprefix("/usr/")
    return path.strip("/")
