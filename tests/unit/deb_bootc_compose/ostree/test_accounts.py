"""Users and groups: ids that stay, accounts that are asked for, checks."""

import os

import pytest

from deb_bootc_compose.ostree.account_checks import settle_ids
from deb_bootc_compose.ostree.account_requests import SYSUSERS, add_accounts, home_lines, write_sysusers
from deb_bootc_compose.ostree.accounts import parse_accounts, preserve_ids, read_accounts, renumbering
from deb_bootc_compose.treefile.tree import Group, IdCheck, User
from deborch_shared.errors import DeborchError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: changes owners")


def test_names_get_the_ids_they_had_and_new_names_none_that_was_used():
    before = {"messagebus": 100, "sshd": 101, "removed": 102}
    now = {"messagebus": 101, "sshd": 100, "new": 102, "root": 0}
    changes = renumbering(now, before)
    assert changes == {101: 100, 100: 101, 102: 999}


def test_nothing_changes_if_all_ids_are_as_they_were():
    assert renumbering({"root": 0, "a": 998}, {"root": 0, "a": 998, "b": 997}) == {}


@needs_root
def test_files_follow_their_owners_and_keep_set_id_bits(tree):
    tree.write("/usr/lib/dbus-helper", "x")
    place = tree.where("/usr/lib/dbus-helper")
    os.chown(place, 0, 997)
    place.chmod(0o4754)
    before = parse_accounts("messagebus:x:101:102::/:/bin/false\n", "messagebus:x:102:\n")
    assert preserve_ids(tree, before)
    status = place.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 102, 0o4754)
    assert read_accounts(tree).uids["messagebus"] == 101
    assert next(user.gid for user in read_accounts(tree).users if user.name == "messagebus") == 102


def test_a_removed_user_is_an_error_until_it_is_named(tree, treefile):
    before = parse_accounts("root:x:0:0::/:/bin/sh\nold:x:950:950::/:/bin/false\n", "root:x:0:\n")
    with pytest.raises(DeborchError, match="users are gone that the commit before had: old") as caught:
        settle_ids(tree, treefile(), before)
    assert "ignore-removed-users" in caught.value.hint
    settle_ids(tree, treefile(ignore_removed_users=("old",)), before)


def test_changed_ids_are_an_error_if_they_are_not_to_be_preserved(tree, treefile):
    before = parse_accounts("messagebus:x:101:997::/:/bin/false\n", "messagebus:x:997:\n")
    with pytest.raises(DeborchError, match="messagebus 101 -> 998"):
        settle_ids(tree, treefile(preserve_passwd=False), before)
    settle_ids(tree, treefile(preserve_passwd=False, check_passwd=IdCheck(type="none")), before)


def test_ids_can_be_checked_against_the_treefile(tree, treefile):
    wanted = IdCheck(type="data", entries={"messagebus": (104, 105)})
    with pytest.raises(DeborchError, match="messagebus 104 -> 998"):
        settle_ids(tree, treefile(check_passwd=wanted), None)


def test_a_person_gets_an_account_a_home_at_boot_and_their_keys(tree):
    alice = User(name="alice", groups=("sudo",), password_hash="$y$hash", ssh_keys=("ssh-ed25519 AAAA a@b",))
    add_accounts(tree, [alice], [], 86_400 * 20_000)
    assert "alice:x:1000:1000::/var/home/alice:/bin/bash" in tree.read("/etc/passwd")
    assert "sudo:x:27:alice" in tree.read("/etc/group")
    assert "alice:$y$hash:20000:0:99999:7:::" in tree.read("/etc/shadow")
    assert "sudo:*::alice" in tree.read("/etc/gshadow")
    lines = home_lines(tree, [alice])
    assert lines[0] == "d /var/home/alice 0700 alice 1000 -"
    assert lines[2].startswith("f~ /var/home/alice/.ssh/authorized_keys 0600 alice 1000 - ")


def test_a_service_gets_a_system_id_no_home_and_no_password(tree):
    add_accounts(tree, [User(name="svc", system=True)], [Group(name="shared", gid=500)], 0)
    assert "svc:x:999:999::/:/usr/sbin/nologin" in tree.read("/etc/passwd")
    assert "svc:!*:0:" in tree.read("/etc/shadow")
    assert read_accounts(tree).gids["shared"] == 500
    assert home_lines(tree, [User(name="svc", system=True)]) == []


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User(name="bob", uid=998), "uid 998 of the user bob is taken"),
        (User(name="messagebus", uid=5), "has the uid 998"),
        (User(name="bob", groups=("wheel",)), "in the group wheel, which is not there"),
    ],
)
def test_accounts_that_cannot_be_made_are_explained(tree, user, message):
    with pytest.raises(DeborchError, match=message):
        add_accounts(tree, [user], [], 0)


def test_sysusers_names_everyone_but_root_with_their_ids(tree):
    write_sysusers(tree)
    lines = tree.read(SYSUSERS).splitlines()[1:]
    assert lines == [
        "g messagebus 997",
        "g sudo 27",
        'u messagebus 998:997 "" /nonexistent /usr/sbin/nologin',
    ]
