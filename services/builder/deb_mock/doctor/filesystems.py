"""Overlays, mapped ids, memory and space, where the engine will use them."""

import os
from collections.abc import Callable
from pathlib import Path

from deb_mock.buildroots.scratch import available_memory_bytes
from deb_mock.doctor.finding import Finding, Status, Subject, scratch_directory, tried
from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace, make_user_namespace

_GIB = 1 << 30
_ENOUGH_BYTES = 10 * _GIB
"""A few bases and layers, and a build of some size on disk."""
_LEAST_BYTES = 2 * _GIB
"""A base and a small build; below the floor of the caches nothing is kept."""
_ENOUGH_INODES = 200_000
"""A base has 15,000 files, large sources more than 100,000."""
_ENOUGH_MEMORY_BYTES = 2 * _GIB
_ON_A_DISK = "put the state directory (--state-dir) on ext4, xfs or btrfs: not on overlayfs, NFS or a FUSE file system"


def overlay(subject: Subject) -> Finding:
    """A root that is thrown away, on the file system of the state directory."""
    directory = subject.config.state_dir
    with scratch_directory(directory) as place:
        trial = tried(lambda: _use_overlay(place))
    if trial.succeeded:
        return Finding("overlay", Status.OK, f"works in {directory}{trial.said}")
    return Finding("overlay", Status.PROBLEM, f"{directory}: {trial.said}", _fix_of_overlay(trial.said))


def _fix_of_overlay(said: str) -> str:
    if "No such device" in said:
        return "load the module: modprobe overlay"
    if "not permitted" in said and not in_initial_user_namespace():
        return "mounting overlays without root needs Linux 5.11 or later, and no security module that forbids it"
    return _ON_A_DISK


def _use_overlay(place: Path) -> str:
    """Mount one, and replace a directory and a file of the lower layer as packages do."""
    lower, upper, work, root = (place / name for name in ("lower", "upper", "work", "root"))
    for directory in (lower / "replaced", upper, work, root):
        directory.mkdir(parents=True)
    (lower / "replaced" / "hidden").touch()
    (lower / "removed").touch()
    unprivileged = not in_initial_user_namespace()
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}" + (",userxattr" if unprivileged else "")
    syscalls.mount("overlay", str(root), "overlay", 0, options)
    (root / "removed").unlink()
    (root / "replaced" / "hidden").unlink()
    (root / "replaced").rmdir()
    (root / "replaced").mkdir()
    if any((root / "replaced").iterdir()) or (root / "removed").exists():
        raise OSError("what is removed in an overlay comes back")
    syscalls.unmount(str(root))
    return ", with userxattr" if unprivileged else ""


def mapped_ids(subject: Subject) -> Finding:
    """Whether root inside can be nobody on the host."""
    ids = subject.config.ids
    if not in_initial_user_namespace():
        found = "not needed: root inside is the user who builds, the build itself a subordinate id"
        return Finding("mapped ids", Status.OK, found)
    if ids is None:
        found = "turned off by the configuration: root inside is root outside, with few capabilities"
        return Finding("mapped ids", Status.WARNING, found, "remove the setting")
    with scratch_directory(subject.config.cache_dir) as place:
        trial = tried(lambda: _map_ids(place, ids.first, ids.count))
    if trial.succeeded:
        return Finding("mapped ids", Status.OK, f"root inside is id {ids.first} on the host")
    return Finding(
        "mapped ids",
        Status.WARNING,
        f"root inside is root outside, with few capabilities: {trial.said}",
        "Linux 5.19 or later and a cache directory on ext4, xfs, btrfs or tmpfs (5.12, 6.3 for tmpfs)",
    )


def _map_ids(place: Path, first_id: int, count: int) -> str:
    source, target = place / "source", place / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 0, 0)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    user_namespace = make_user_namespace(first_id, count)
    syscalls.bind_with_ids(str(source), str(target), user_namespace, read_only=True)
    if (target / "file").stat().st_uid != first_id:
        raise OSError("the ids stay as they are")
    _, upper, work, root = (place / name for name in ("lower", "upper", "work", "root"))
    for directory in (upper, work, root):
        directory.mkdir()
    syscalls.mount("overlay", str(root), "overlay", 0, f"lowerdir={target},upperdir={upper},workdir={work}")
    if (root / "file").stat().st_uid != first_id:
        raise OSError("the ids stay as they are below an overlay")
    return ""


def memory(subject: Subject) -> Finding:
    """A tmpfs, and the memory for it."""
    wanted_bytes, free_bytes = subject.config.tmpfs_bytes, available_memory_bytes()
    if wanted_bytes is None:
        found = "files of builds are on disk: a setting, or less than 4 GiB of memory"
        return Finding("memory", Status.OK, f"{found}; {_gib(free_bytes)} available")
    with scratch_directory(subject.config.state_dir) as place:
        trial = tried(lambda: _use_tmpfs(place))
    if not trial.succeeded:
        return Finding("memory", Status.WARNING, f"no tmpfs for builds: {trial.said}", "use the disk: --tmpfs-mib 0")
    found = f"tmpfs of {_gib(wanted_bytes)} for each build, {_gib(free_bytes)} available now{trial.said}"
    if free_bytes < _ENOUGH_MEMORY_BYTES:
        return Finding("memory", Status.WARNING, found, "large builds will go to the disk; end what uses the memory")
    return Finding("memory", Status.OK, found)


def _use_tmpfs(place: Path) -> str:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    syscalls.mount("scratch", str(place), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=1m")
    (place / "file").touch()
    if not in_initial_user_namespace() and not syscalls.has_user_attributes(str(place)):
        return (
            ", but this kernel (before 6.6) cannot have changes of an unprivileged overlay in it: they go to the disk"
        )
    return ""


def space_for_state(subject: Subject) -> Finding:
    """Where buildroots are."""
    return space("space for builds", subject.config.state_dir)


def space_for_cache(subject: Subject) -> Finding:
    """Where bases, layers and downloads are."""
    return space("space for caches", subject.config.cache_dir)


def space(name: str, directory: Path, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> Finding:
    """How much there is on the file system of `directory`."""
    existing = directory
    while not existing.is_dir():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        fix = "choose another with --state-dir and --cache-dir, or mend its owner and mode"
        return Finding(name, Status.PROBLEM, f"{existing} cannot be written", fix)
    found = statvfs(existing)
    free_bytes = found.f_bavail * found.f_frsize
    shown = f"{_gib(free_bytes)} and {found.f_favail:,} files free in {directory}"
    fix = f"free space there, or choose another directory; {_gib(_ENOUGH_BYTES)} is comfortable"
    few_files = found.f_files > 0 and found.f_favail < _ENOUGH_INODES
    if free_bytes < _LEAST_BYTES:
        return Finding(name, Status.PROBLEM, shown, fix)
    if free_bytes < _ENOUGH_BYTES or few_files:
        return Finding(name, Status.WARNING, shown, fix)
    return Finding(name, Status.OK, shown)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB"
