"""The commit that the ref is at in the published repository: what a new one follows."""

from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.ostree.accounts import Accounts, parse_accounts
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


@dataclass(frozen=True, slots=True)
class Parent:
    """What is needed of it."""

    commit: str
    version: str | None
    epoch: int
    accounts: Accounts | None
    """None: it cannot be read, or has none."""


def published_repository(state: State, treefile: ResolvedTreefile) -> Path:
    """Where clients of this treefile's ref pull from."""
    named = treefile.ostree.repo
    return treefile.directory / named if named else state.published_repository


async def parent_commit(work: PhaseWork) -> str | None:
    """The commit that a new one follows: as was asked for, or where the ref is now."""
    if work.request.parent is not None:
        return work.request.parent
    return await _published(work).resolve(work.treefile.ref)


async def read_parent(work: PhaseWork) -> Parent | None:
    """The parent with what a compose carries over from it."""
    commit = await parent_commit(work)
    if commit is None:
        return None
    for repository in (_published(work), OstreeRepository(work.state.work_repository, work.tools)):
        if await repository.has_commit(commit):
            shown = await repository.show(commit)
            passwd = await repository.read(commit, "/usr/etc/passwd")
            group = await repository.read(commit, "/usr/etc/group")
            accounts = None
            if passwd is not None and group is not None:
                accounts = parse_accounts(passwd.decode(errors="replace"), group.decode(errors="replace"))
            return Parent(commit, shown.version, shown.epoch, accounts)
    return Parent(commit, None, 0, None)


def _published(work: PhaseWork) -> OstreeRepository:
    return OstreeRepository(published_repository(work.state, work.treefile), work.tools)
