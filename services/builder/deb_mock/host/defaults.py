"""Settings that depend on the machine."""

import os
from pathlib import Path

DEFAULT_STATE_DIR = Path("/var/lib/deb-mock")
DEFAULT_CACHE_DIR = Path("/var/cache/deb-mock")
_ENOUGH_MEMORY_BYTES = 4 << 30


def default_tmpfs_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Half of the memory for the files of a build where there is enough; None: use the disk."""
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemTotal:"):
            total_bytes = int(line.split()[1]) * 1024
            return total_bytes // 2 if total_bytes >= _ENOUGH_MEMORY_BYTES else None
    return None


def default_jobs(meminfo: Path = Path("/proc/meminfo")) -> int:
    """As many as there are processors for this process, but for each a gibibyte of memory that is free now."""
    processors = len(os.sched_getaffinity(0))
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return max(1, min(processors, int(line.split()[1]) >> 20))
    return processors
