"""A disk that is full, told as such whoever noticed it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode

_SIGNS = ("no space left on device", "disk quota exceeded", "could not allocate block")


@contextmanager
def full_disk_is_told(directory: Path) -> Iterator[None]:
    """Turn what the system or a program says of a full disk into DISK_FULL."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise disk_full(directory, error.strerror or "no space left") from error
    except DeborchError as error:
        said = str(error.fields.get("output", "")).lower()
        if error.code is not ErrorCode.PROCESS_FAILED or not any(sign in said for sign in _SIGNS):
            raise
        raise disk_full(directory, "no space left on device") from error


def disk_full(directory: Path, why: str) -> DeborchError:
    """The error for it."""
    return failure(
        FailureClass.HOST,
        ErrorCode.DISK_FULL,
        f"the disk that holds {directory} is full: {why}",
        hint="free some space there (`deb-bootc-compose gc` removes old composes), then `deb-bootc-compose resume`",
    )
