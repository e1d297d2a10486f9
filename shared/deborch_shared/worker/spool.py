"""Reports that could not be sent yet, on disk, oldest first."""

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import Gauge

from deborch_shared.errors import DeborchError
from deborch_shared.events import Event, decode, encode
from deborch_shared.worker.durable_files import directory_of_whole_files, write_durably

_log = logging.getLogger(__name__)
_spooled = Gauge("deborch_worker_spooled_reports", "Reports on disk that wait for the broker")
_SUFFIX = ".json"


class Spool:
    """One file for each report, named by a number that only grows. Its calls block; threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory_of_whole_files(directory)
        self._lock = threading.Lock()
        self._names = sorted(path.name for path in directory.glob(f"[0-9]*{_SUFFIX}"))
        self._next = int(self._names[-1].removesuffix(_SUFFIX)) + 1 if self._names else 0
        _spooled.set(len(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def add(self, events: Iterable[Event]) -> None:
        """Keep `events` in that order, with an fsync each.

        Raises:
            DeborchError: DISK_FULL. Those before the one that did not fit are kept.
        """
        with self._lock:
            for event in events:
                name = f"{self._next:020d}{_SUFFIX}"
                write_durably(self._directory / name, encode(event))
                self._names.append(name)
                self._next += 1
            _spooled.set(len(self._names))

    def oldest(self, limit: int) -> Sequence[tuple[str, Event]]:
        """Up to `limit` reports with their names; a file that cannot be read is put aside and named in the log."""
        found: list[tuple[str, Event]] = []
        with self._lock:
            for name in self._names[:limit]:
                path = self._directory / name
                try:
                    found.append((name, decode(path.read_bytes())[0]))
                except (DeborchError, OSError) as error:
                    _log.error("spooled report %s cannot be read and is put aside: %s", path, error)
                    self._put_aside(path)
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Forget reports that the broker has confirmed."""
        gone = set(names)
        with self._lock:
            for name in gone:
                (self._directory / name).unlink(missing_ok=True)
            self._names = [name for name in self._names if name not in gone]
            _spooled.set(len(self._names))

    def _put_aside(self, path: Path) -> None:
        self._names.remove(path.name)
        if path.exists():
            path.rename(path.with_suffix(".unreadable"))
