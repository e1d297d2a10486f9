"""What is in a directory, in enough detail to see later whether it is still that."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.state.whole_files import sync

HASHED_BYTES = 1 << 20
"""Files up to this size are compared by content each time, larger ones by size and time of change."""
_HASHED_ONCE_BYTES = 64 << 20
"""Files up to this size have a digest, that is looked at if their time does not fit."""


def manifest_of(directory: Path) -> JsonObject:
    """Path: what is there, for everything below `directory`."""
    return {name: _entry(path, found) for name, path, found in _walk(directory)}


def difference(directory: Path, manifest: JsonObject) -> str | None:
    """The first thing in which `directory` is not what `manifest` says; None if it is the same."""
    left = dict(manifest)
    for name, path, found in _walk(directory):
        if name not in left:
            return f"{name} was not there"
        if not _fits(path, found, left.pop(name)):
            return f"{name} is another"
    return f"{next(iter(left))} is gone" if left else None


def sync_tree(directory: Path) -> None:
    """Make everything below `directory`, and itself, durable."""
    for _, path, found in _walk(directory):
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            sync(path)
    sync(directory)


def size_of(directory: Path) -> int:
    """Bytes on disk of what is only here: files with other names elsewhere cost nothing."""
    return sum(
        found.st_blocks * 512 for _, _, found in _walk(directory) if stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    )


def _walk(directory: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    open_ = [directory]
    while open_:
        with os.scandir(open_.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                yield str(path.relative_to(directory)), path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    open_.append(path)


def _entry(path: Path, found: os.stat_result) -> JsonObject:
    entry: JsonObject = {"mode": found.st_mode}
    if stat.S_ISLNK(found.st_mode):
        entry["link"] = os.fsencode(path.readlink()).decode("utf-8", "replace")
    elif stat.S_ISREG(found.st_mode):
        entry |= {"size": found.st_size, "mtime_ns": found.st_mtime_ns}
        if found.st_size <= _HASHED_ONCE_BYTES:
            entry["sha256"] = digest_of_file(path)
    return entry


def _fits(path: Path, found: os.stat_result, entry: JsonObject) -> bool:
    if entry["mode"] != found.st_mode:
        return False
    if stat.S_ISLNK(found.st_mode):
        return bool(entry["link"] == os.fsencode(path.readlink()).decode("utf-8", "replace"))
    if not stat.S_ISREG(found.st_mode):
        return True
    if entry["size"] != found.st_size:
        return False
    if found.st_size > HASHED_BYTES and entry["mtime_ns"] == found.st_mtime_ns:
        return True
    return "sha256" in entry and bool(entry["sha256"] == digest_of_file(path))
