"""Which cgroup hierarchies this host has, and where in them this process may make groups.

cgroups(7). In a v1 hierarchy groups are made below our own. In v2 a group with processes of its own cannot hand
controllers down (except the root), so ours go below the parent that was delegated to us (systemd's Delegate= with
DelegateSubgroup=), else, as root, below the root of the tree, as Docker's cgroupfs driver does.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace

CONTROLLERS = ("memory", "pids", "cpu", "io")
_V1_NAMES: Mapping[str, str] = MappingProxyType(
    {"memory": "memory", "pids": "pids", "cpu": "cpu", "io": "blkio", "cpuacct": "cpuacct"}
)
_DELEGATED = ("user.delegate", "trusted.delegate")
"""systemd's marks, see org.freedesktop.systemd1 and systemd.resource-control(5)."""
_FIX_V2 = (
    "run the service with Delegate=yes and DelegateSubgroup=main (systemd 254), or as root where the root of "
    "/sys/fs/cgroup can be written; in a container, have its processes in a group below that root"
)
_FIX_USER = (
    "start it in a group that systemd gives to you: systemd-run --user --scope deb-mock ... (without a session of "
    "systemd, have root set up one by: loginctl enable-linger); a service needs Delegate=yes and DelegateSubgroup=main"
)
_FIX_NONE = "mount the cgroup2 file system on /sys/fs/cgroup, writable for this process"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted tree, and the directory in it below which groups are made."""

    version: int
    controllers: frozenset[str]
    """In the names of v2, and cpuacct of v1; v2 counts CPU time with no controller."""
    parent: Path


@dataclass(frozen=True, slots=True)
class Findings:
    """What limits can be set and what cannot."""

    usable: Mapping[str, Hierarchy]
    """By controller."""
    unified: Hierarchy | None
    """Where cgroup.kill and CPU time are, whatever controllers it has."""
    missing: Mapping[str, str]
    """By controller: what to do about it."""


def find(
    proc: Path = Path("/proc/self"), *, euid: int | None = None, in_user_namespace: bool | None = None
) -> Findings:
    """Look at what is mounted and whether it can be written; switches controllers of v2 on for groups to come.

    Root of a user namespace has no more than the user who made it, so it may use what that user was given.
    """
    euid = os.geteuid() if euid is None else euid
    mapped = not in_initial_user_namespace() if in_user_namespace is None else in_user_namespace
    is_user = euid != 0 or mapped
    own = _memberships((proc / "cgroup").read_text())
    usable: dict[str, Hierarchy] = {}
    unified: Hierarchy | None = None
    for kind, mount_root, mount, options in _mounts((proc / "mountinfo").read_text()):
        if kind == "cgroup2" and unified is None:
            unified = _unified(mount, _below(mount, mount_root, own.get("", "/")), euid, is_user=is_user)
        elif kind == "cgroup":
            for controller, name in _V1_NAMES.items():
                if name in options:
                    parent = _below(mount, mount_root, own.get(name, "/"))
                    if os.access(parent, os.W_OK):
                        usable[controller] = Hierarchy(1, frozenset({controller}), parent)
    if unified is not None:
        usable.update(dict.fromkeys(unified.controllers, unified))
    fix = _FIX_NONE if unified is None and not usable else _FIX_USER if is_user else _FIX_V2
    return Findings(usable, unified, {name: fix for name in CONTROLLERS if name not in usable})


def _unified(mount: Path, own: Path, euid: int, *, is_user: bool) -> Hierarchy | None:
    parent = _unified_parent(mount, own, euid, is_user=is_user)
    if parent is None:
        return None
    offered, enabled = _words(parent / "cgroup.controllers"), _words(parent / "cgroup.subtree_control")
    for controller in CONTROLLERS:
        if controller in offered and controller not in enabled:
            with suppress(OSError):
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
    return Hierarchy(2, frozenset(_words(parent / "cgroup.subtree_control")) & frozenset(CONTROLLERS), parent)


def _unified_parent(mount: Path, own: Path, euid: int, *, is_user: bool) -> Path | None:
    if own != mount and _can_be_used(own.parent) and (is_user or _is_delegated(own.parent)):
        return own.parent
    return mount if euid == 0 and _can_be_used(mount) else None


def _can_be_used(group: Path) -> bool:
    """A process moves only for who may write the group above both its old and its new one."""
    procs = group / "cgroup.procs"
    return os.access(group, os.W_OK) and (not procs.exists() or os.access(procs, os.W_OK))


def _is_delegated(group: Path) -> bool:
    for mark in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(group, mark) == b"1":
                return True
    return False


def _mounts(mountinfo: str) -> list[tuple[str, str, Path, frozenset[str]]]:
    """(type, root, mount point, options of the super block) of each cgroup mount; proc(5)."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            found.append((kind, fields[3], Path(fields[4]), frozenset(options.split(","))))
    return found


def _memberships(text: str) -> dict[str, str]:
    """Our path in each hierarchy, by controller; the empty name is v2."""
    paths = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    return paths


def _below(mount: Path, mount_root: str, path: str) -> Path:
    """Where `path` of a hierarchy is seen, if the mount shows it; else the mount itself."""
    inside = os.path.relpath(path, mount_root)
    seen = mount / inside
    return seen if not inside.startswith("..") and seen.is_dir() else mount


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
