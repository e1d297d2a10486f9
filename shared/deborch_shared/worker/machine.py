"""What this machine is and how busy it is, read from the kernel and from dpkg."""

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import deborch_shared
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import Resources

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the machine is now."""

    load_1m: float
    memory_available_bytes: int
    disk_available_bytes: int


def load_of(data_dir: Path) -> Load:
    return Load(
        load_1m=os.getloadavg()[0],
        memory_available_bytes=_meminfo_bytes("MemAvailable"),
        disk_available_bytes=shutil.disk_usage(data_dir).free,
    )


def resources_of(data_dir: Path) -> Resources:
    """All that this process may use: its processors, the memory, the free disk that holds `data_dir`."""
    return Resources(
        cpu=len(os.sched_getaffinity(0)),
        memory_bytes=_meminfo_bytes("MemTotal"),
        disk_bytes=shutil.disk_usage(data_dir).free,
    )


async def architecture() -> str:
    """The Debian architecture that dpkg installs packages of.

    Raises:
        DeborchError: PROCESS_FAILED if this is no Debian system.
    """
    try:
        result = await process.run(["dpkg", "--print-architecture"], timeout_s=30)
    except DeborchError as error:
        raise DeborchError(
            ErrorCode.PROCESS_FAILED,
            f"the architecture of this machine is unknown: {error.message}",
            hint="run it on a Debian system, where dpkg is",
        ) from error
    return result.output.decode().strip()


async def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of the daemon and of `packages`, for operators; one that is not installed is left out."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n", *packages]
    result = await process.run(query, timeout_s=30, check=False)
    pairs = (line.split(" ") for line in result.output.decode("utf-8", "replace").splitlines())
    tools = {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0] in packages and pair[1]}
    return {
        "deb-orchestrator": deborch_shared.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        **tools,
    }


def _meminfo_bytes(field: str) -> int:
    for line in _MEMINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0
