"""Where one daemon keeps its files, and the lock that keeps a second daemon out."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places below one directory."""

    root: Path

    @property
    def assignments(self) -> Path:
        return self.root / "assignments"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def buildroots(self) -> Path:
        return self.root / "mock"


@contextmanager
def locked(root: Path) -> Iterator[DataDirectory]:
    """The data directory at `root`, made if needed, for this process alone; the kernel unlocks it whatever happens.

    Raises:
        DeborchError: CONFLICT if another process has it, INVALID_SETTING if it cannot be made.
    """
    try:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            f"data directory {root} is not usable: {error.strerror}",
            hint="set DEBORCH_BUILDER_DATA_DIR to a directory that the builder may write to",
        ) from error
    try:
        _lock(descriptor, root)
        yield DataDirectory(root)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"another builder uses {root}",
            hint="stop it, or give this one a DEBORCH_BUILDER_DATA_DIR of its own",
        ) from None
