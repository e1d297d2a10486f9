"""What a sandbox is made of, as data."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deborch_shared.errors import DeborchError, ErrorCode

CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "SHELL": "/bin/sh",
}
"""All that a command sees of an environment, unless it is given more."""

_MOUNTABLE = re.compile(r"/[^:,\\\0]*\Z")


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids of the host that stand for 0 to `count` - 1 inside. No user of the host may own any of them."""

    first: int
    count: int = 65_536


@dataclass(frozen=True, slots=True)
class Lower:
    """A read-only layer of the root."""

    path: Path
    map_ids: bool
    """True: its files belong to ids from 0 up, as in a plain chroot. False: they are in the `IdRange` already."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host that is seen inside."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What everything in one sandbox may use together. None: no limit. Each needs a controller of cgroups."""

    memory_bytes: int | None = None
    """With the files that are in tmpfs; nothing of it goes to swap."""
    cpus: float | None = None
    """CPU seconds in a second."""
    pids: int | None = None
    """Processes and threads."""
    read_bytes_per_s: int | None = None
    """From the disk of the sandbox, past what is cached."""
    write_bytes_per_s: int | None = None
    disk_free_bytes: int | None = None
    """What must stay free on the disk of the sandbox. No cgroup holds it: whoever runs commands looks."""

    @property
    def has_disk_speed(self) -> bool:
        return self.read_bytes_per_s is not None or self.write_bytes_per_s is not None


class Filtering(StrEnum):
    """Whether a seccomp filter refuses what no build needs; see `seccomp`."""

    REQUIRED = "required"
    """Without it nothing runs."""
    PREFERRED = "preferred"
    """Where the host cannot, go on without."""
    OFF = "off"


class Backend(StrEnum):
    """Who isolates the commands of a sandbox; see `backends`."""

    NAMESPACES = "namespaces"
    BWRAP = "bwrap"
    NSPAWN = "nspawn"
    QEMU = "qemu"
    """Known, and refused."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One sandbox. All paths are absolute and free of the characters that overlayfs gives a meaning to."""

    directory: Path
    """Made at the start, removed at the end; its name identifies the sandbox."""
    lowers: tuple[Lower, ...]
    """Nearest first."""
    upper: Path | None = None
    """A new directory on a disk that receives the changes, for `Sandbox.keep_changes_as`; None: in the scratch."""
    persistent: bool = False
    """True: `upper` is there already and stays, also when its owner dies."""
    scratch_bytes: int | None = None
    """Size of the tmpfs that holds workspace and changes; None: they are on the disk of `directory`, unlimited."""
    ids: IdRange | None = None
    """None: no user namespace; root inside is root on the host with few capabilities."""
    workspace: str = "/build"
    """A directory that is not part of the overlay, writable for `workspace_uid`, open to the owner."""
    workspace_uid: int = 0
    binds: tuple[Bind, ...] = ()
    hostname: str = "sandbox"
    limits: Limits = Limits()
    backend: Backend = Backend.NAMESPACES
    filtering: Filtering = Filtering.REQUIRED
    nested_namespaces: bool = False
    """Programs inside may make user namespaces, and mount in them. More of the kernel is then within their reach."""
    no_sync: bool = False
    """fsync(2) and its family do nothing and succeed: for files that are thrown away or copied out after."""

    def to_message(self) -> dict[str, Any]:
        """The form that the keeper reads.

        Raises:
            DeborchError: UNSAFE_PATH if a path cannot be mounted.
        """
        return {
            "directory": mountable(self.directory),
            "lowers": [{"path": mountable(lower.path), "map_ids": lower.map_ids} for lower in self.lowers],
            "upper": mountable(self.upper) if self.upper else None,
            "work": mountable(work_directory(self.upper)) if self.upper else None,
            "persistent": self.persistent,
            "scratch_bytes": self.scratch_bytes,
            "first_id": self.ids.first if self.ids else None,
            "id_count": self.ids.count if self.ids else None,
            "workspace": self.workspace,
            "workspace_uid": self.workspace_uid,
            "binds": [
                {"source": str(bind.source), "target": bind.target, "read_only": bind.read_only} for bind in self.binds
            ],
            "hostname": self.hostname,
            "backend": self.backend.value,
        }


def work_directory(upper: Path) -> Path:
    """The directory that overlayfs needs beside `upper`."""
    return upper.with_name(f"{upper.name}.work")


def mountable(path: Path) -> str:
    """`path` as text, if overlayfs can take it."""
    text = str(path)
    if _MOUNTABLE.match(text) is None:
        raise DeborchError(
            ErrorCode.UNSAFE_PATH,
            f"{text!r} cannot be mounted",
            hint="choose an absolute path without ':' ',' and backslash",
        )
    return text
