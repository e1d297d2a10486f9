"""Where one daemon keeps its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deborch_shared.worker.data_directory import locked_directory


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places below one directory."""

    root: Path

    @property
    def claims(self) -> Path:
        return self.root / "claims"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def work(self) -> Path:
        return self.root / "work"


@contextmanager
def locked(root: Path) -> Iterator[DataDirectory]:
    """The data directory at `root`, for this process alone.

    Raises:
        DeborchError: CONFLICT if another process has it, INVALID_SETTING if it cannot be made.
    """
    with locked_directory(root, kind="composer"):
        yield DataDirectory(root)
