"""What a control group has used, read from the files of v1 and v2."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deborch_shared.sandbox.cgroups.hierarchies import Hierarchy

_Directories = Mapping[str, tuple[Hierarchy, Path]]


@dataclass(frozen=True, slots=True)
class Counters:
    """Since the group was made. None: this host does not count it."""

    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    memory_bytes: int | None = None
    """Now, with what is cached of files."""
    memory_peak_bytes: int | None = None
    read_bytes: int | None = None
    """From disks; not what was cached."""
    written_bytes: int | None = None
    """To disks."""
    pids: int | None = None
    pids_peak: int | None = None
    oom_kills: int = 0
    """Processes ended because the group had no memory left."""
    forks_refused: int = 0
    """Times that the limit of processes was hit."""


def read_counters(unified: Path | None, directories: _Directories) -> Counters:
    """Read them all; what cannot be read counts as not there."""
    user_s, system_s = _cpu(unified, directories)
    now, peak, oom_kills = _memory(directories)
    read, written = _io(directories)
    pids = directories["pids"][1] if "pids" in directories else None
    return Counters(
        user_s,
        system_s,
        now,
        peak,
        read,
        written,
        _number(pids, "pids.current"),
        _number(pids, "pids.peak"),
        oom_kills,
        _table(pids, "pids.events").get("max", 0),
    )


def _cpu(unified: Path | None, directories: _Directories) -> tuple[float | None, float | None]:
    """Each v2 group counts it, also where another hierarchy has the controller."""
    used = _table(unified, "cpu.stat")
    if "user_usec" in used:
        return used["user_usec"] / 1e6, used["system_usec"] / 1e6
    accounts = directories["cpuacct"][1] if "cpuacct" in directories else None
    user_ns, system_ns = _number(accounts, "cpuacct.usage_user"), _number(accounts, "cpuacct.usage_sys")
    if user_ns is None or system_ns is None:
        return None, None
    return user_ns / 1e9, system_ns / 1e9


def _memory(directories: _Directories) -> tuple[int | None, int | None, int]:
    if "memory" not in directories:
        return None, None, 0
    tree, path = directories["memory"]
    if tree.version == 2:
        oom_kills = _table(path, "memory.events").get("oom_kill", 0)
        return _number(path, "memory.current"), _number(path, "memory.peak"), oom_kills
    oom_kills = _table(path, "memory.oom_control").get("oom_kill", 0)
    return _number(path, "memory.usage_in_bytes"), _number(path, "memory.max_usage_in_bytes"), oom_kills


def _io(directories: _Directories) -> tuple[int | None, int | None]:
    if "io" not in directories:
        return None, None
    tree, path = directories["io"]
    if tree.version == 1:  # Linux counts it there only while something is limited
        return None, None
    pairs = [pair.split("=", 1) for line in _lines(path, "io.stat") for pair in line.split()[1:]]
    sums = {name: sum(int(value) for key, value in pairs if key == name) for name in ("rbytes", "wbytes")}
    return sums["rbytes"], sums["wbytes"]


def _lines(directory: Path | None, name: str) -> list[str]:
    if directory is None:
        return []
    try:
        return (directory / name).read_text().splitlines()
    except OSError:
        return []


def _table(directory: Path | None, name: str) -> dict[str, int]:
    rows = [line.split() for line in _lines(directory, name)]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _number(directory: Path | None, name: str) -> int | None:
    lines = _lines(directory, name)
    return int(lines[0]) if lines and lines[0].isdigit() else None
