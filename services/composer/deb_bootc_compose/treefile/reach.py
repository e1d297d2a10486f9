"""Which files a treefile may name: those below its own directory, and what is allowed beside."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deb_bootc_compose.digests import digest_of_file

KEYRING_DIRECTORIES = (Path("/usr/share/keyrings"), Path("/etc/apt/keyrings"), Path("/etc/apt/trusted.gpg.d"))


class OutOfReachError(ValueError):
    """A file that is not there or must not be named; the text says which and why."""


@dataclass(slots=True)
class Reach:
    """Of the treefile in `directory`. Notes the SHA-256 of each file that it gives out."""

    directory: Path
    """Resolved."""
    allowed: Sequence[Path] = ()
    files: dict[str, str] = field(default_factory=dict)

    def file(self, name: str, *, beside: Sequence[Path] = ()) -> str:
        """`name` relative to the directory, or absolute where it lies elsewhere and is allowed.

        Raises:
            OutOfReachError: It is not there, is no plain file, or leads out of what is allowed.
        """
        if "\0" in name:
            raise OutOfReachError(f"{name!r} is no name of a file")
        path = Path(os.path.normpath(self.directory / name))
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise OutOfReachError(f"there is no file {name}") from error
        places = [self.directory, *(place.resolve() for place in (*self.allowed, *beside))]
        if not any(real.is_relative_to(place) for place in places):
            link = f", a link to {real}," if real != path else ""
            raise OutOfReachError(f"{name}{link} is outside the treefile's directory; allow it with --allow DIRECTORY")
        if not real.is_file():
            raise OutOfReachError(f"{name or real} is no plain file")
        shown = str(path.relative_to(self.directory)) if path.is_relative_to(self.directory) else str(path)
        try:
            self.files[shown] = digest_of_file(real)
        except OSError as error:
            raise OutOfReachError(f"{name}: {error.strerror or error}") from error
        return shown

    def path(self, shown: str) -> Path:
        """Where what `file` gave out lies."""
        return self.directory / shown


def beside(document: str, name: str) -> str:
    """`name`, written in `document`, relative to what `document` is relative to."""
    return name if name.startswith("/") else os.path.normpath(PurePosixPath(document).parent / name)
