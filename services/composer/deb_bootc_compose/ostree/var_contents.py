"""/var of the tree, which OSTree leaves to the machine: made anew at boot by tmpfiles.d."""

import os
import shutil
import stat
from pathlib import Path
from typing import Literal

from deb_bootc_compose.ostree.accounts import read_accounts
from deb_bootc_compose.ostree.tree import Tree, tree_failure

TMPFILES = "/usr/lib/tmpfiles.d/zz-image-var.conf"
FACTORY = "/usr/share/factory"
_WORTHLESS = (
    "/var/cache/",
    "/var/log/",
    "/var/tmp/",  # noqa: S108 - a path in a tree
    "/var/backups/",
    "/var/lib/apt/",
    "/var/lib/systemd/deb-systemd-",
    "/var/lib/dpkg",
)
"""What packages leave there has no use on a machine; directories of these are made again all the same."""
_NOT_EVEN_DIRECTORIES = ("/var/lib/systemd/deb-systemd-", "/var/lib/dpkg", "/var/lib/apt/lists/", "/var/cache/apt/")
_SHOWN = 10
Policy = Literal["tmpfiles", "factory", "refuse"]


def move_var_out(tree: Tree, policy: Policy, more: list[str]) -> list[str]:
    """Write tmpfiles.d for everything in /var, and `more`; leave /var empty.

    Returns:
        Files whose content is not kept.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if there are files that `policy` does not want.
    """
    named = _already_made(tree)
    accounts = read_accounts(tree)
    users = {number: name for name, number in accounts.uids.items()}
    groups = {number: name for name, number in accounts.gids.items()}
    lines, dropped, kept = [], [], []
    for path, status in tree.walk("/var"):
        place = tree.root / path.lstrip("/")
        if path.startswith(_NOT_EVEN_DIRECTORIES) or path in named:
            continue
        owner = f"{users.get(status.st_uid, status.st_uid)} {groups.get(status.st_gid, status.st_gid)}"
        if stat.S_ISLNK(status.st_mode):
            lines.append(f"L {_escaped(path)} - - - - {_escaped(str(place.readlink()))}")
        elif stat.S_ISDIR(status.st_mode):
            lines.append(f"d {_escaped(path)} {stat.S_IMODE(status.st_mode):04o} {owner} - -")
        elif path.startswith(_WORTHLESS) or not stat.S_ISREG(status.st_mode):
            continue
        elif policy == "tmpfiles":
            dropped.append(path)
        else:
            kept.append(path)
            if policy == "factory":
                _keep(tree, path, place, status)
            lines.append(f"C {_escaped(path)} - - - - -")
    if policy == "refuse" and kept:
        raise tree_failure(
            f"there are {len(kept)} files in /var: {', '.join(kept[:_SHOWN])}",
            hint="remove them (remove-files), or set var-policy to factory to copy them at first boot",
        )
    wanted = sorted(
        {*lines, *(line for line in more if line.split()[1] not in named)}, key=lambda line: line.split()[1]
    )
    tree.write(TMPFILES, "# /var of this image\n" + "".join(f"{line}\n" for line in wanted))
    tree.make_empty("/var")
    return dropped


def _already_made(tree: Tree) -> frozenset[str]:
    """Paths that tmpfiles.d of packages makes."""
    paths = set()
    for name in tree.names("/usr/lib/tmpfiles.d"):
        for line in (tree.read(f"/usr/lib/tmpfiles.d/{name}") or "").splitlines():
            words = line.split()
            if len(words) > 1 and words[0][0] in "dDvqQLCfp" and words[1].startswith("/var"):
                paths.add(words[1].rstrip("/"))
    return frozenset(paths)


def _keep(tree: Tree, path: str, place: Path, status: os.stat_result) -> None:
    target = tree.where(f"{FACTORY}{path}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(place, target)
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))


def _escaped(path: str) -> str:
    """As tmpfiles.d(5) reads it: specifiers and white space."""
    return path.replace("%", "%%").replace("\\", "\\\\").replace(" ", "\\x20").replace("\t", "\\x09")
