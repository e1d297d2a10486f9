"""Small files that are whole or absent after any crash, and readable by their owner alone."""

import errno
import os
import secrets
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode

_PARTIAL = ".partial"


def write_durably(path: Path, content: bytes) -> None:
    """Write `path` by temp + fsync + rename, mode 0600, and sync its directory.

    Raises:
        DeborchError: DISK_FULL if there is no space.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise as_disk_full(error, path) from error


def directory_of_whole_files(directory: Path) -> Path:
    """`directory`, made if needed, without what a crash left half written. For its only user, at start."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for partial in directory.glob(f".*{_PARTIAL}"):
        partial.unlink()
    return directory


def sync_directory(directory: Path) -> None:
    """Make renames and removals in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_disk_full(error: OSError, path: Path) -> Exception:
    """`error` itself, or DISK_FULL if that is what it means."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    return DeborchError(
        ErrorCode.DISK_FULL,
        f"no space is left for {path}",
        hint=f"free space on the disk that holds {path.parent}, or move the data directory to a larger one",
    )
