"""What lies in the caches of the state directory, for `gc`: everything here can be fetched or made again."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.manifest import size_of


@dataclass(frozen=True, slots=True)
class CachedItem:
    """A file, or a directory that goes as a whole. Its time of change is its last use."""

    kind: str
    path: Path
    size_bytes: int
    used_at_s: float


def cached_items(state: State) -> Iterator[CachedItem]:
    """Everything that could go. Files that a finished phase has too cost nothing, and are left out."""
    for kind, directory in (("deb", state.debs), ("layer", state.layers), ("initramfs", state.initramfs)):
        yield from _files(kind, directory)
    for kind, directory in (("lists", state.lists), ("tools", state.tools)):
        yield from _entries(kind, directory)


def _files(kind: str, directory: Path) -> Iterator[CachedItem]:
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                yield CachedItem(kind, path, found.st_blocks * 512, found.st_mtime)


def _entries(kind: str, directory: Path) -> Iterator[CachedItem]:
    for path in sorted(directory.glob("[!.]*")):
        if path.is_dir() and not path.is_symlink():
            yield CachedItem(kind, path, size_of(path), path.stat().st_mtime)
