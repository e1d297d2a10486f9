"""The lock that keeps a second daemon out of a data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode


@contextmanager
def locked_directory(root: Path, *, kind: str) -> Iterator[Path]:
    """The directory `root`, made if needed, for this process alone; the kernel unlocks it whatever happens.

    `kind`: builder or composer.

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
            hint=f"set DEBORCH_{kind.upper()}_DATA_DIR to a directory that the {kind} may write to",
        ) from error
    try:
        _lock(descriptor, root, kind)
        yield root
    finally:
        os.close(descriptor)


def _lock(descriptor: int, root: Path, kind: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"another {kind} uses {root}",
            hint=f"stop it, or give this one a DEBORCH_{kind.upper()}_DATA_DIR of its own",
        ) from None
