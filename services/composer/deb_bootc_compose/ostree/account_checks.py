"""`check-passwd`, `check-groups` and `preserve-passwd`: ids from one compose to the next."""

from collections.abc import Mapping

from deb_bootc_compose.ostree.accounts import Accounts, check_ids, parse_accounts, preserve_ids, read_accounts
from deb_bootc_compose.ostree.beside import content_of
from deb_bootc_compose.ostree.tree import Tree
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.tree import IdCheck


def settle_ids(tree: Tree, treefile: ResolvedTreefile, before: Accounts | None) -> None:
    """Have the ids that the commit before had, then check them as the treefile says.

    Raises:
        DeborchError: CHECK_FAILED of class TREE.
    """
    if treefile.preserve_passwd and before is not None:
        preserve_ids(tree, before)
    now = read_accounts(tree)
    users = _expected(treefile, treefile.check_passwd, before.uids if before else {}, of_groups=False)
    check_ids("user", now.uids, users, treefile.ignore_removed_users, key="check-passwd")
    groups = _expected(treefile, treefile.check_groups, before.gids if before else {}, of_groups=True)
    check_ids("group", now.gids, groups, treefile.ignore_removed_groups, key="check-groups")


def _expected(
    treefile: ResolvedTreefile, check: IdCheck, before: Mapping[str, int], *, of_groups: bool
) -> Mapping[str, int]:
    if check.type == "previous":
        return before
    if check.type == "data":
        return {name: ids if isinstance(ids, int) else ids[0] for name, ids in check.entries.items()}
    if check.type == "file" and check.filename is not None:
        text = content_of(treefile, check.filename).decode("utf-8", "replace")
        return parse_accounts("", text).gids if of_groups else parse_accounts(text, "").uids
    return {}
