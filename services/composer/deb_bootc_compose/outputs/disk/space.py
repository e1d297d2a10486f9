"""A disk that is full, told as such whoever noticed it."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.disk.plan import MIB
from deborch_shared.errors import DeborchError, ErrorCode

_SIGNS = ("no space left on device", "disk quota exceeded", "could not allocate block")


def require_space(directory: Path, needed_bytes: int) -> None:
    """Raise DISK_FULL at once rather than after minutes of writing."""
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < needed_bytes:
        raise _full(directory, f"{needed_bytes // MIB} MiB are needed, {free_bytes // MIB} MiB are free")


@contextmanager
def full_disk_is_told(directory: Path) -> Iterator[None]:
    """Turn what the system or a program says of a full disk into DISK_FULL."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _full(directory, error.strerror or "no space left") from error
    except DeborchError as error:
        said = str(error.fields.get("output", "")).lower()
        if error.code is not ErrorCode.PROCESS_FAILED or not any(sign in said for sign in _SIGNS):
            raise
        raise _full(directory, "no space left on device") from error


def _full(directory: Path, why: str) -> DeborchError:
    return failure(
        FailureClass.HOST,
        ErrorCode.DISK_FULL,
        f"the disk that holds {directory} is full: {why}",
        hint="free some space there (`deb-bootc-compose gc` removes old composes), then `deb-bootc-compose resume`",
    )
