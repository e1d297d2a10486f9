"""Root of a user namespace for a user without root: own id as 0, subordinate ids (subuid(5)) as 1 and up.

In it mounts, namespaces and files of many owners work as for root, and on the host nothing but the user and ids that
nobody else has is ever seen. newuidmap(1) and newgidmap(1) do the one step that needs privileges.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.sandbox.inside import syscalls

NEEDED_IDS = 65_535
"""Beside root: Debian Policy 9.2 gives ids up to 65534 a meaning."""
_FIELDS = 3


@dataclass(frozen=True, slots=True)
class SubordinateIds:
    """What newuidmap(1) and newgidmap(1) may give the user, as first id and number."""

    uids: tuple[int, int]
    gids: tuple[int, int]


def subordinate_ids(uid: int | None = None, etc: Path = Path("/etc")) -> SubordinateIds:
    """The ids of the user `uid`, by default that of this process.

    Raises:
        DeborchError: NEEDS_ROOT with the command that gives some, if there are too few.
    """
    number = os.getuid() if uid is None else uid
    name = _name_of(number)
    found = [_range(etc / file, (name, str(number))) for file in ("subuid", "subgid")]
    uids, gids = found
    if uids is None or gids is None:
        missing = " and ".join(f"/etc/{file}" for file, got in zip(("subuid", "subgid"), found, strict=True) if not got)
        raise DeborchError(
            ErrorCode.NEEDS_ROOT,
            f"no root, and no {NEEDED_IDS} subordinate ids for {name} in {missing}",
            hint=f"run it as root, or once as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "
            f"{name} (a range that {missing} gives to nobody else)",
        )
    return SubordinateIds(uids, gids)


def become_root(ids: SubordinateIds) -> None:
    """Move this process, which must have one thread, into a new user namespace as its root.

    Raises:
        DeborchError: NEEDS_ROOT with what refused, and what to do.
    """
    for program in ("newuidmap", "newgidmap"):
        if shutil.which(program) is None:
            raise DeborchError(
                ErrorCode.NEEDS_ROOT,
                f"{program} is not installed, and this is not root",
                hint="apt-get install uidmap, or run it as root",
            )
    try:
        _unshare_with_maps(ids)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError as error:
        raise DeborchError(
            ErrorCode.NEEDS_ROOT, f"no user namespace could be made: {error}", hint=_why_refused()
        ) from error


def _unshare_with_maps(ids: SubordinateIds) -> None:
    """A child that stays behind writes the maps: newuidmap must be called from the namespace outside."""
    made_read, made_write = os.pipe2(os.O_CLOEXEC)
    said_read, said_write = os.pipe2(os.O_CLOEXEC)
    this = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(made_write)
        _write_maps_when_made(this, ids, made_read, said_write)
    os.close(made_read)
    os.close(said_write)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(made_write, b"x")
    finally:
        os.close(made_write)
        with os.fdopen(said_read, "rb") as answers:
            said = answers.read()
        os.waitpid(child, 0)
    if said:
        raise OSError(bounded(said).strip())


def _write_maps_when_made(process: int, ids: SubordinateIds, made: int, said: int) -> None:
    """Say nothing if it worked. Never returns."""
    try:
        if os.read(made, 1):
            for program, own, (first, count) in (
                ("newuidmap", os.getuid(), ids.uids),
                ("newgidmap", os.getgid(), ids.gids),
            ):
                words = (process, 0, own, 1, 1, first, min(count, NEEDED_IDS + 1))
                ran = subprocess.run([program, *map(str, words)], capture_output=True, check=False)
                if ran.returncode != 0:
                    os.write(said, ran.stderr or f"{program} failed".encode())
                    break
    except BaseException as error:
        os.write(said, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(0)


def _why_refused(sysctl: Path = Path("/proc/sys")) -> str:
    """What to change, as far as the settings of the kernel tell."""
    for name, refused in (
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        path = sysctl / name
        if path.exists() and path.read_text().strip() == refused:
            allowed = {"0": "1", "1": "0"}[refused] if name.startswith("kernel") else "65536"
            return f"as root: sysctl -w {name.replace('/', '.')}={allowed}; or run it as root"
    return "a container or a security module may forbid it; run it as root, or on the host"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _range(path: Path, users: tuple[str, str]) -> tuple[int, int] | None:
    """The first range of enough ids that a subuid(5) file gives one of `users` (the name or the number)."""
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        fields = line.strip().split(":")
        if len(fields) == _FIELDS and fields[0] in users and fields[1].isdecimal() and fields[2].isdecimal():
            first, count = int(fields[1]), int(fields[2])
            if count >= NEEDED_IDS:
                return first, count
    return None
