"""The control group of one sandbox: a directory in each hierarchy that it needs."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deborch_shared.sandbox.cgroups.counters import Counters, read_counters
from deborch_shared.sandbox.cgroups.hierarchies import Findings, Hierarchy
from deborch_shared.sandbox.spec import Limits

_PERIOD_US = 100_000
_GONE_WITHIN_S = 10.0
_POLL_S = 0.005


class ControlGroup:
    """Where the processes of one sandbox are counted and limited. Nothing is made before `create`."""

    def __init__(self, name: str, limits: Limits, findings: Findings) -> None:
        unique = f"deborch-{name}-{secrets.token_hex(4)}"
        wanted = {"memory", "pids"}
        if limits.cpus is not None:
            wanted.add("cpu")
        if findings.unified is None:
            wanted.add("cpuacct")
        if limits.has_disk_speed or "io" not in findings.usable or findings.usable["io"].version > 1:
            wanted.add("io")
        used = {key: tree for key, tree in findings.usable.items() if key in wanted}
        self._limits = limits
        self._directories: dict[str, tuple[Hierarchy, Path]] = {
            key: (tree, tree.parent / unique) for key, tree in used.items()
        }
        self._unified = findings.unified.parent / unique if findings.unified is not None else None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every directory of the group."""
        unified = () if self._unified is None else (self._unified,)
        return tuple(dict.fromkeys((*unified, *(path for _, path in self._directories.values()))))

    def create(self, device: int) -> None:
        """Make the directories and set the limits, those of io for the disk that holds `device` (st_dev).

        Raises:
            OSError: the kernel refused one.
        """
        for path in self.paths:
            path.mkdir()
        for key, (tree, path) in self._directories.items():
            for name, value in _settings(key, tree.version, self._limits, device):
                _write(path / name, value)

    def add(self, pid: int) -> None:
        """Put a process, and all that it will fork, into the group. Takes some 10 ms in the kernel."""
        for path in self.paths:
            _write(path / "cgroup.procs", str(pid))

    def counters(self) -> Counters:
        """What the group used since it was made."""
        return read_counters(self._unified, self._directories)

    def reset_peak(self) -> int | None:
        """Let the peak of memory begin anew; a descriptor to read it from where the kernel keeps it per reader."""
        tree, path = self._directories.get("memory", (None, None))
        if tree is None or path is None:
            return None
        with suppress(OSError):
            if tree.version == 1:
                _write(path / "memory.max_usage_in_bytes", "0")
            else:
                descriptor = os.open(path / "memory.peak", os.O_RDWR | os.O_CLOEXEC)
                try:
                    os.write(descriptor, b"reset")
                except OSError:  # before Linux 6.12 it is the peak since the group was made
                    os.close(descriptor)
                    raise
                return descriptor
        return None


def _settings(key: str, version: int, limits: Limits, device: int) -> Iterable[tuple[str, str]]:
    """(file, value) of each limit of one controller, in the order in which the kernel takes them."""
    match key:
        case "memory" if limits.memory_bytes is not None:
            most = str(limits.memory_bytes)
            if version == 2:
                return [("memory.max", most), ("memory.swap.max", "0")]
            return [("memory.limit_in_bytes", most), ("memory.memsw.limit_in_bytes", most)]
        case "pids" if limits.pids is not None:
            return [("pids.max", str(limits.pids))]
        case "cpu" if limits.cpus is not None:
            quota = max(1000, int(limits.cpus * _PERIOD_US))
            if version == 2:
                return [("cpu.max", f"{quota} {_PERIOD_US}")]
            return [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota))]
        case "io":
            return _io_settings(version, limits, device)
        case _:
            return []


def _io_settings(version: int, limits: Limits, device: int) -> Iterable[tuple[str, str]]:
    speeds = {"read": limits.read_bytes_per_s, "write": limits.write_bytes_per_s}
    speeds = {way: speed for way, speed in speeds.items() if speed is not None}
    disk = whole_disk(device) if speeds else None
    if disk is None:
        return []
    if version == 2:
        return [("io.max", f"{disk} " + " ".join(f"{way[0]}bps={speed}" for way, speed in speeds.items()))]
    return [(f"blkio.throttle.{way}_bps_device", f"{disk} {speed}") for way, speed in speeds.items()]


def whole_disk(device: int, sys: Path = Path("/sys/dev/block")) -> str | None:
    """MAJOR:MINOR of the disk that a partition is on, which is what can be limited; None if there is no disk."""
    entry = sys / f"{os.major(device)}:{os.minor(device)}"
    if not entry.exists():
        return None
    found = entry.resolve()
    if (found / "partition").exists():
        found = found.parent
    return (found / "dev").read_text().strip()


def _write(path: Path, value: str) -> None:
    """One write(2), which is how cgroup files take a value; a file that this kernel lacks is no error."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.parent.is_dir() and path.name in _OPTIONAL:
            return
        raise
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"{path}: {value!r}: {error.strerror}") from None
    finally:
        os.close(descriptor)


_OPTIONAL = frozenset({"memory.swap.max", "memory.memsw.limit_in_bytes"})
"""Only there if the kernel counts swap."""


async def remove_groups(paths: Iterable[Path]) -> None:
    """End whatever is in these groups and remove them, with groups below. Can be repeated.

    Raises:
        OSError: one cannot be removed.
    """
    ending_s = time.monotonic() + _GONE_WITHIN_S
    left = [path for path in paths if path.is_dir()]
    while left:
        for path in left:
            _end_all(path)
        left = [path for path in left if not _removed(path, final=time.monotonic() > ending_s)]
        if left:
            await asyncio.sleep(_POLL_S)


def _end_all(path: Path) -> None:
    """SIGKILL for everything in the group: at once by cgroup.kill (Linux 5.14), else one by one."""
    if not (path / "cgroup.procs").exists():
        return
    with suppress(OSError):
        _write(path / "cgroup.kill", "1")
        return
    with suppress(OSError):
        for pid in (path / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _removed(path: Path, *, final: bool) -> bool:
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            Path(directory).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            if final:
                raise
            return False
    return True
