"""Users and groups that the treefile asks for, and sysusers.d for everyone in the tree."""

import base64
from collections.abc import Iterable, Sequence

from deb_bootc_compose.ostree.accounts import Account, AccountGroup, Accounts, read_accounts, write_accounts
from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.treefile.tree import Group, User

_PEOPLE = range(1000, 60_000)
_SYSTEM = range(999, 99, -1)
_DAY_S = 86_400
SYSUSERS = "/usr/lib/sysusers.d/00-image.conf"
"""First by name, so that its ids count."""


def add_accounts(tree: Tree, users: Sequence[User], groups: Sequence[Group], epoch: int) -> None:
    """Make them; those that are there already get what the treefile says beyond.

    Raises:
        DeborchError: CHECK_FAILED of class TREE for ids that are taken and groups that are not there.
    """
    if not users and not groups:
        return
    accounts = read_accounts(tree)
    known = {group.name: group for group in accounts.groups}
    for group in groups:
        known[group.name] = _with_group(known, group.name, group.gid, system=True)
    people = {user.name: user for user in accounts.users}
    for user in users:
        made = _account(user, people, known)
        people[user.name] = made
        for name in user.groups:
            joined = known.get(name)
            if joined is None:
                raise tree_failure(
                    f"user {user.name} is to be in the group {name}, which is not there",
                    hint="add it to `groups`, or the package that makes it",
                )
            if user.name not in joined.members:
                known[name] = AccountGroup(name, joined.gid, (*joined.members, user.name))
    write_accounts(tree, Accounts(tuple(people.values()), tuple(known.values())))
    _write_secrets(tree, "/etc/shadow", {user.name: user.password_hash or "!*" for user in users}, epoch // _DAY_S)
    _write_groups_secrets(tree, known)


def home_lines(tree: Tree, users: Sequence[User]) -> list[str]:
    """Lines of tmpfiles.d that make homes and keys, once ids are settled."""
    made = {user.name: user for user in read_accounts(tree).users}
    return [line for user in users if user.name in made for line in _home_lines(user, made[user.name])]


def _with_group(known: dict[str, AccountGroup], name: str, gid: int | None, *, system: bool) -> AccountGroup:
    there = known.get(name)
    if there is not None:
        if gid is not None and gid != there.gid:
            raise _taken(f"the group {name} has the gid {there.gid}, and the treefile says {gid}")
        return there
    taken = {group.gid for group in known.values()}
    if gid in taken:
        raise _taken(f"the gid {gid} of the group {name} is taken")
    return AccountGroup(name, _free(taken, system=system) if gid is None else gid, ())


def _account(user: User, people: dict[str, Account], known: dict[str, AccountGroup]) -> Account:
    there = people.get(user.name)
    if there is not None:
        if user.uid is not None and user.uid != there.uid:
            raise _taken(f"the user {user.name} has the uid {there.uid}, and the treefile says {user.uid}")
        return Account(
            there.name,
            there.uid,
            there.gid,
            user.gecos or there.gecos,
            user.home or there.home,
            user.shell or there.shell,
        )
    taken = {account.uid for account in people.values()}
    if user.uid in taken:
        raise _taken(f"the uid {user.uid} of the user {user.name} is taken")
    uid = _free(taken, system=user.system) if user.uid is None else user.uid
    gid = user.gid
    if gid is None:
        wanted = None if any(group.gid == uid for group in known.values()) or user.name in known else uid
        known[user.name] = _with_group(known, user.name, wanted, system=user.system)
        gid = known[user.name].gid
    home = user.home or ("/" if user.system else f"/var/home/{user.name}")
    shell = user.shell or ("/usr/sbin/nologin" if user.system else "/bin/bash")
    return Account(user.name, uid, gid, user.gecos, home, shell)


def _free(taken: set[int], *, system: bool) -> int:
    return next(number for number in (_SYSTEM if system else _PEOPLE) if number not in taken)


def _taken(message: str) -> Exception:
    return tree_failure(message, hint="give another id, or none to have the next free one")


def _home_lines(user: User, made: Account) -> list[str]:
    owner = f"{made.name} {made.gid}"
    lines = [] if user.system and not user.home else [f"d {_home(made)} 0700 {owner} -"]
    if user.ssh_keys:
        keys = base64.b64encode("".join(f"{key}\n" for key in user.ssh_keys).encode()).decode()
        lines += [
            f"d {_home(made)}/.ssh 0700 {owner} -",
            f"f~ {_home(made)}/.ssh/authorized_keys 0600 {owner} - {keys}",
        ]
    return lines


def _home(account: Account) -> str:
    """/home and /root are links, which tmpfiles.d does not like to cross."""
    for link, target in (("/home/", "/var/home/"), ("/root", "/var/roothome")):
        if account.home.startswith(link):
            return target + account.home.removeprefix(link)
    return account.home


def _write_secrets(tree: Tree, path: str, secrets: dict[str, str], day: int) -> None:
    if not secrets:
        return
    kept = [line for line in (tree.read(path) or "").splitlines() if line.partition(":")[0] not in secrets]
    added = [f"{name}:{secret}:{day}:0:99999:7:::" for name, secret in secrets.items()]
    _rewrite_private(tree, path, [*kept, *added])


def _write_groups_secrets(tree: Tree, groups: dict[str, AccountGroup]) -> None:
    there = {line.partition(":")[0]: line for line in (tree.read("/etc/gshadow") or "").splitlines()}
    if not there:
        return
    lines = [
        f"{group.name}:{there.get(group.name, 'x:!:').split(':')[1]}::{','.join(group.members)}"
        for group in groups.values()
    ]
    _rewrite_private(tree, "/etc/gshadow", lines)


def _rewrite_private(tree: Tree, path: str, lines: Iterable[str]) -> None:
    if not tree.exists(path):
        tree.write(path, "", 0o640)
    tree.rewrite(path, "".join(f"{line}\n" for line in lines))


def write_sysusers(tree: Tree) -> None:
    """Everyone with their ids: a machine whose passwd was changed by hand gets new users of an upgrade by this."""
    accounts = read_accounts(tree)
    lines = [f"g {group.name} {group.gid}" for group in accounts.groups if group.name != "root"]
    for user in accounts.users:
        if user.name != "root":
            gecos = user.gecos.replace('"', "'")
            lines.append(f'u {user.name} {user.uid}:{user.gid} "{gecos}" {user.home or "-"} {user.shell or "-"}')
    lines += [f"m {name} {group.name}" for group in accounts.groups for name in group.members]
    tree.write(SYSUSERS, "# Who is in this image\n" + "".join(f"{line}\n" for line in lines))
