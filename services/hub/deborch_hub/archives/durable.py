"""Files and links that outlive a power cut: written first, flushed together before anyone is told of them."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_MANY = 256
_NO_FURTHER_NAME = frozenset({errno.EXDEV, errno.EMLINK})
"""Another file system, or a file that has as many names as its file system allows."""


class Written:
    """What was written and is not flushed yet. Safe to use from several threads."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()

    def file(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write a new file."""
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
        self._paths.update((path, path.parent))

    def link(self, source: Path, path: Path) -> None:
        """Give the file `source` the further name `path`; where that cannot be, make `path` a copy of it."""
        try:
            os.link(source, path)
        except OSError as error:
            if error.errno not in _NO_FURTHER_NAME:
                raise
            _copy(source, path)
        self._paths.add(path.parent)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file that was written here another name."""
        path.rename(to)
        self._paths.discard(path)
        self._paths.update((to, to.parent))

    def directory(self, path: Path) -> None:
        """Make `path` and what it stands in, as far as it is not there."""
        missing = [path] if not path.is_dir() else []
        while missing and not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        path.mkdir(parents=True, exist_ok=True)
        self._paths.update(parent for made in missing for parent in (made, made.parent))

    def flush(self) -> None:
        """Return once all of it is on the disk."""
        if len(self._paths) > _MANY:
            os.sync()
        else:
            for path in self._paths:
                flush(path)
        self._paths.clear()


def _copy(source: Path, path: Path) -> None:
    """Make `path` a copy that is whole and on disk from the moment on that it has its name."""
    partial = path.with_name(".partial")
    try:
        shutil.copy2(source, partial)
        flush(partial)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Return once the content of the file or the names in the directory `path` are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point(link: Path, to: str) -> None:
    """Let the symbolic link `link` lead to `to` from one moment to the next, on disk when this returns."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.rename(link)
    flush(link.parent)
