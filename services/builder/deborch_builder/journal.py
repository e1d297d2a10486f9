"""The assignments that this host has accepted and not yet reported, on disk.

An entry is written before the assignment is acknowledged and removed after its report is confirmed or spooled.
What is found at start was running when the daemon died.
"""

from collections.abc import Iterable
from pathlib import Path

from deborch_builder.attempt_key import AttemptKey, key_of
from deborch_shared.events.model import AssignTask
from deborch_shared.worker.durable_files import directory_of_whole_files, write_durably


class Journal:
    """One file for each assignment: `<task>-<attempt>.json`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory_of_whole_files(directory)

    def add(self, assignments: Iterable[AssignTask]) -> None:
        """Write down `assignments`; blocks for an fsync each.

        Raises:
            DeborchError: DISK_FULL.
        """
        for assignment in assignments:
            write_durably(self._path(key_of(assignment)), assignment.model_dump_json().encode())

    def remove(self, key: AttemptKey) -> None:
        """Forget it. Not synced: an entry that comes back after a power cut costs one stale report."""
        self._path(key).unlink(missing_ok=True)

    def left_over(self) -> list[AttemptKey]:
        """What was accepted and not reported. The name of a file says it all, so its content cannot spoil it."""
        keys = (AttemptKey.parse(path.stem) for path in sorted(self._directory.glob("*.json")))
        return [key for key in keys if key is not None]

    def _path(self, key: AttemptKey) -> Path:
        return self._directory / f"{key}.json"
