"""How much is below a directory, on disk and in length."""

import os
from collections.abc import Iterator
from pathlib import Path


def tree_size_bytes(directory: Path) -> int:
    """Disk space below `directory`; what can no longer be read counts nothing."""
    return sum(size_bytes for size_bytes, _ in _sizes(directory))


def tree_contents(directory: Path) -> tuple[int, int]:
    """How many entries there are below `directory`, and their length in bytes."""
    count = length_bytes = 0
    for _, entry_bytes in _sizes(directory):
        count += 1
        length_bytes += entry_bytes
    return count, length_bytes


def _sizes(directory: Path) -> Iterator[tuple[int, int]]:
    """(bytes on disk, length) of each entry. Directories have no length: it differs between file systems."""
    waiting = [str(directory)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                is_directory = entry.is_dir(follow_symlinks=False)
            except OSError:
                continue
            if is_directory:
                waiting.append(entry.path)
            yield found.st_blocks * 512, 0 if is_directory else found.st_size
