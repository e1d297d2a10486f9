"""Whether a disk image has room, before it is begun."""

import shutil
from pathlib import Path

from deb_bootc_compose.full_disk import disk_full
from deb_bootc_compose.outputs.disk.plan import MIB


def require_space(directory: Path, needed_bytes: int) -> None:
    """Raise DISK_FULL at once rather than after minutes of writing."""
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < needed_bytes:
        raise disk_full(directory, f"{needed_bytes // MIB} MiB are needed, {free_bytes // MIB} MiB are free")
