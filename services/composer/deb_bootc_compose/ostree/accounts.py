"""passwd, group and shadow of a tree, and keeping the ids of a commit in the next one.

Debian gives system users the next free id at install time, so another order of installation would hand files of one
service to another on machines that upgrade. Names that the commit before had keep their ids; a new name never gets
an id that a name had which is gone.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deb_bootc_compose.ostree.tree import Tree, tree_failure

_SYSTEM_IDS = range(100, 1000)
_CAPABILITIES = "security.capability"


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd(5)."""

    name: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str

    def line(self) -> str:
        return f"{self.name}:x:{self.uid}:{self.gid}:{self.gecos}:{self.home}:{self.shell}"


@dataclass(frozen=True, slots=True)
class AccountGroup:
    """A line of group(5)."""

    name: str
    gid: int
    members: tuple[str, ...]

    def line(self) -> str:
        return f"{self.name}:x:{self.gid}:{','.join(self.members)}"


@dataclass(frozen=True, slots=True)
class Accounts:
    """All of them, in the order of the files."""

    users: tuple[Account, ...]
    groups: tuple[AccountGroup, ...]

    @property
    def uids(self) -> dict[str, int]:
        return {user.name: user.uid for user in self.users}

    @property
    def gids(self) -> dict[str, int]:
        return {group.name: group.gid for group in self.groups}


def parse_accounts(passwd: str, group: str) -> Accounts:
    """What the two files say; lines that are none are left out."""
    users = [
        Account(fields[0], int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6])
        for line in passwd.splitlines()
        if len(fields := line.split(":")) == 7 and fields[2].isdigit() and fields[3].isdigit()
    ]
    groups = [
        AccountGroup(fields[0], int(fields[2]), tuple(name for name in fields[3].split(",") if name))
        for line in group.splitlines()
        if len(fields := line.split(":")) == 4 and fields[2].isdigit()
    ]
    return Accounts(tuple(users), tuple(groups))


def read_accounts(tree: Tree) -> Accounts:
    """Those of `tree`."""
    return parse_accounts(tree.read("/etc/passwd") or "", tree.read("/etc/group") or "")


def write_accounts(tree: Tree, accounts: Accounts) -> None:
    """Write passwd and group; shadow and gshadow, which have no ids, stay."""
    tree.rewrite("/etc/passwd", "".join(f"{user.line()}\n" for user in accounts.users))
    tree.rewrite("/etc/group", "".join(f"{group.line()}\n" for group in accounts.groups))


def preserve_ids(tree: Tree, before: Accounts) -> bool:
    """Give names the ids that they had in `before`, in the files of accounts and of everything in the tree.

    Returns:
        Whether anything changed.
    """
    accounts = read_accounts(tree)
    uids = renumbering(accounts.uids, before.uids)
    gids = renumbering(accounts.gids, before.gids)
    if not uids and not gids:
        return False
    users = tuple(
        replace(user, uid=uids.get(user.uid, user.uid), gid=gids.get(user.gid, user.gid)) for user in accounts.users
    )
    groups = tuple(replace(group, gid=gids.get(group.gid, group.gid)) for group in accounts.groups)
    write_accounts(tree, Accounts(users, groups))
    for path, status in tree.walk():
        uid, gid = uids.get(status.st_uid, status.st_uid), gids.get(status.st_gid, status.st_gid)
        if (uid, gid) != (status.st_uid, status.st_gid):
            _change_owner(tree.root / path.lstrip("/"), status, uid, gid)
    return True


def renumbering(now: Mapping[str, int], before: Mapping[str, int]) -> dict[int, int]:
    """Old id to new one, for the names of `now`: those of `before` where there are, else none that `before` used."""
    changes = {number: before[name] for name, number in now.items() if name in before and before[name] != number}
    taken = {*before.values(), *now.values()}
    for name, number in sorted(now.items()):
        if name not in before and number in set(before.values()):
            free = next(candidate for candidate in _candidates(number) if candidate not in taken)
            taken.add(free)
            changes[number] = free
    return changes


def _candidates(number: int) -> Iterable[int]:
    """Ids of the kind of `number`: of the system counted down, as sysusers.d does it, else up from there."""
    if number in _SYSTEM_IDS:
        return reversed(_SYSTEM_IDS)
    return range(number + 1, 60_000) if number < 60_000 else range(number + 1, 2**32 - 2)


def _change_owner(place: Path, status: os.stat_result, uid: int, gid: int) -> None:
    """chown(2) takes set-id bits and capabilities away: put them back."""
    capabilities = None
    if stat.S_ISREG(status.st_mode) and _CAPABILITIES in os.listxattr(place, follow_symlinks=False):
        capabilities = os.getxattr(place, _CAPABILITIES, follow_symlinks=False)
    os.chown(place, uid, gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        place.chmod(stat.S_IMODE(status.st_mode))
    if capabilities is not None:
        os.setxattr(place, _CAPABILITIES, capabilities, follow_symlinks=False)


def check_ids(
    kind: str, now: Mapping[str, int], expected: Mapping[str, int], ignored: Iterable[str], *, key: str
) -> None:
    """Refuse ids that changed, and names that are gone; `key` is that of the treefile to mend it by.

    Raises:
        DeborchError: CHECK_FAILED of class TREE with each of them.
    """
    changed = [
        f"{name} {number} -> {now[name]}"
        for name, number in sorted(expected.items())
        if now.get(name, number) != number
    ]
    gone = sorted(set(expected) - set(now) - set(ignored))
    if changed:
        raise tree_failure(
            f"the ids of {kind}s changed: {', '.join(changed)}",
            hint=f"files on machines in use keep the old ids: set preserve-passwd, or {key}: {{type: none}}",
        )
    if gone:
        raise tree_failure(
            f"{kind}s are gone that the commit before had: {', '.join(gone)}",
            hint=f"put back the package that makes them, or name them in ignore-removed-{kind}s",
        )
