"""The composes that this composer has claimed and not yet reported, on disk.

An entry is written before the request is acknowledged and removed after its report is confirmed or spooled. What is
found at start was running when the daemon died.
"""

from pathlib import Path

from deborch_composer.compose_key import ComposeKey
from deborch_shared.worker.durable_files import directory_of_whole_files, write_durably


class Journal:
    """One file for each attempt: `COMPOSE-ATTEMPT.json`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory_of_whole_files(directory)

    def add(self, key: ComposeKey, content: bytes) -> None:
        """Write it down; blocks for an fsync.

        Raises:
            DeborchError: DISK_FULL.
        """
        write_durably(self._path(key), content)

    def remove(self, key: ComposeKey) -> None:
        """Forget it. Not synced: an entry that comes back after a power cut costs one stale report."""
        self._path(key).unlink(missing_ok=True)

    def left_over(self) -> list[ComposeKey]:
        """What was claimed and not reported. The name of a file says it all, so its content cannot spoil it."""
        keys = (ComposeKey.parse(path.stem) for path in sorted(self._directory.glob("*.json")))
        return [key for key in keys if key is not None]

    def _path(self, key: ComposeKey) -> Path:
        return self._directory / f"{key}.json"
