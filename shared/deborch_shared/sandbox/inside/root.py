"""Mounts: the overlay that all commands of a sandbox share, and the fresh /proc, /sys and /dev of each command."""

import os
from typing import Any

from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.inside.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

_LOCKED_DOWN = MS_NOSUID | MS_NODEV | MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
    ("ptmx", "pts/ptmx"),
)
_READ_ONLY_PROC = ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/sysrq-trigger")
HIDDEN_PROC = (
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/kmsg",
    "/proc/sched_debug",
    "/proc/config.gz",
    "/proc/latency_stats",
    "/proc/interrupts",
)
_HIDDEN_DIRECTORIES = (
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/sys/devices/virtual/powercap",
)
_TTY_GID = 5
_SHARED_MEMORY_BYTES = 1 << 30
"""Of one command; the kernel's default is half of the machine's memory."""


class Root:
    """The directories of one sandbox, and its ids: `first_id` is the host's id for root inside."""

    def __init__(self, spec: dict[str, Any], user_namespace: int | None) -> None:
        self._spec = spec
        self._first_id = int(spec["first_id"] or 0)
        self._shift = user_namespace if self._first_id else None
        """How ids on disk become those of `user_namespace`; None if they are the same."""
        self._directory = str(spec["directory"])
        self.path = f"{self._directory}/root"
        self._scratch = f"{self._directory}/scratch"
        self._workspace = f"{self._scratch}/workspace"
        self._unprivileged = not in_initial_user_namespace()

    def assemble(self) -> None:
        """Mount the overlay in this process's mount namespace."""
        os.mkdir(self.path)
        os.mkdir(self._scratch)
        if self._spec["scratch_bytes"]:
            size = f"size={self._spec['scratch_bytes']},mode=755"
            syscalls.mount("scratch", self._scratch, "tmpfs", MS_NOSUID | MS_NODEV, size)
        lowers = [self._lower(number, lower) for number, lower in enumerate(self._spec["lowers"])]
        upper, work = self._upper()
        options = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},index=off,metacopy=off"
        if not self._spec["persistent"]:
            options += ",volatile"
        if self._unprivileged:
            options += ",userxattr"
        syscalls.mount("overlay", self.path, "overlay", MS_NODEV, options)
        self._make_workspace()
        for entry in self._spec["binds"]:
            self._bind(entry)

    def disassemble(self) -> None:
        """Unmount the overlay, so that what was written to a kept upper directory is whole."""
        syscalls.unmount(self.path, syscalls.MNT_DETACH)

    def open_workspace(self) -> int:
        """A descriptor of the workspace directory, for the owner of the sandbox."""
        return os.open(self._workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _lower(self, number: int, lower: dict[str, Any]) -> str:
        if self._shift is None or not lower["map_ids"]:
            return str(lower["path"])
        target = f"{self._directory}/lower-{number}"
        os.mkdir(target)
        syscalls.bind_with_ids(lower["path"], target, self._shift, read_only=True)
        return target

    def _upper(self) -> tuple[str, str]:
        """The directory that receives changes; a kept one has its work directory beside it (overlayfs asks for it).

        An unprivileged overlay needs attributes that a tmpfs has since Linux 6.6 only; before, changes go to the disk.
        """
        kept = self._spec["upper"]
        place = self._scratch
        if self._unprivileged and not syscalls.has_user_attributes(place):
            place = self._directory
        upper = str(kept) if kept else f"{place}/upper"
        work = str(self._spec["work"]) if kept else f"{place}/work"
        os.mkdir(work, 0o755)
        if not self._spec["persistent"]:
            os.mkdir(upper, 0o755)
            os.chmod(upper, 0o755)
            os.chown(upper, self._first_id, self._first_id)
        return upper, work

    def _make_workspace(self) -> None:
        os.mkdir(self._workspace)
        os.chmod(self._workspace, 0o755)
        owner = self._first_id + int(self._spec["workspace_uid"])
        os.chown(self._workspace, owner, owner)
        target = self._directory_inside(self._spec["workspace"])
        syscalls.bind(self._workspace, target)
        syscalls.remount_bind(target, MS_NOSUID | MS_NODEV)

    def _bind(self, entry: dict[str, Any]) -> None:
        if os.path.isdir(entry["source"]):
            target = self._directory_inside(entry["target"])
        else:
            target = self._file_inside(entry["target"])
        if entry["read_only"] or self._shift is None:
            syscalls.bind(entry["source"], target)
            syscalls.remount_bind(target, MS_NOSUID | MS_NODEV | (MS_RDONLY if entry["read_only"] else 0))
        else:
            syscalls.bind_with_ids(entry["source"], target, self._shift, read_only=False)

    def _directory_inside(self, name: str) -> str:
        path = self.path
        for part in _parts(name):
            path = f"{path}/{part}"
            if not os.path.lexists(path):
                os.mkdir(path, 0o755)
                os.chown(path, self._first_id, self._first_id)
            elif os.path.islink(path) or not os.path.isdir(path):
                raise OSError(f"{path} is not a directory, so nothing can be mounted there")
        return path

    def _file_inside(self, name: str) -> str:
        *parents, last = _parts(name)
        path = f"{self._directory_inside('/'.join(parents))}/{last}"
        if os.path.islink(path):
            os.unlink(path)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        return path

    def enter(self, *, network_files: bool) -> None:
        """In a command's own mount namespace: fresh kernel file systems, then make the overlay the root."""
        self._mount_proc()
        self._mount_sys(with_network=network_files)
        self._mount_dev()
        if network_files:
            self._show_network_files()
        os.chdir(self.path)
        syscalls.pivot_root_here()

    def show_at(self, place: str, *, network_files: bool) -> None:
        """In a mount namespace of its own: have the root at `place`, where users other than root may look for it.

        /sys is there already, without the network of the host; /proc and /dev are left to who isolates the command.
        """
        target = self._directory_inside("/sys")
        flags = MS_RDONLY | _LOCKED_DOWN
        syscalls.in_new_network(lambda: syscalls.mount("sysfs", target, "sysfs", flags))
        if network_files:
            self._show_network_files()
        syscalls.bind(self.path, place, recursive=True)

    def _show_network_files(self) -> None:
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            if os.path.exists(name):
                self._bind({"source": os.path.realpath(name), "target": name, "read_only": True})

    def _mount_proc(self) -> None:
        syscalls.mount("proc", self._directory_inside("/proc"), "proc", _LOCKED_DOWN)
        for name in _READ_ONLY_PROC:
            path = self.path + name
            if os.path.exists(path):
                syscalls.bind(path, path, recursive=True)
                syscalls.remount_bind(path, MS_RDONLY | _LOCKED_DOWN)
        for name in HIDDEN_PROC:
            if os.path.exists(self.path + name):
                syscalls.bind("/dev/null", self.path + name)

    def _mount_sys(self, *, with_network: bool) -> None:
        target = self._directory_inside("/sys")
        if with_network and self._unprivileged:
            syscalls.in_new_network(lambda: syscalls.mount("sysfs", target, "sysfs", MS_RDONLY | _LOCKED_DOWN))
        else:
            syscalls.mount("sysfs", target, "sysfs", MS_RDONLY | _LOCKED_DOWN)
        for name in _HIDDEN_DIRECTORIES:
            if os.path.isdir(self.path + name):
                syscalls.mount("hidden", self.path + name, "tmpfs", MS_RDONLY | _LOCKED_DOWN, "size=0,mode=755")

    def _mount_dev(self) -> None:
        dev = self._directory_inside("/dev")
        owner = f"uid={self._first_id},gid={self._first_id}"
        syscalls.mount("dev", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, f"mode=755,size=64k,{owner}")
        for name in _DEVICES:
            os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
            syscalls.bind(f"/dev/{name}", f"{dev}/{name}")
        for name in ("pts", "shm"):
            os.mkdir(f"{dev}/{name}")
        terminals = f"newinstance,ptmxmode=0666,mode=620,gid={self._first_id + _TTY_GID}"
        syscalls.mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, terminals)
        size = f"mode=1777,size={min(_SHARED_MEMORY_BYTES, self._spec['scratch_bytes'] or _SHARED_MEMORY_BYTES)}"
        syscalls.mount("shm", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV, size)
        for name, target in _DEVICE_LINKS:
            os.symlink(target, f"{dev}/{name}")


def _parts(name: str) -> list[str]:
    """The names in a path inside, which may not lead out of it."""
    parts = [part for part in name.split("/") if part]
    if not {".", ".."}.isdisjoint(parts):
        raise OSError(f"{name} is no plain path, so nothing can be mounted there")
    return parts
