"""Packages that have to come from one repository (`repo-packages`): apt is told, and its answer is looked at."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.gather.lock import LockedPackage
from deb_bootc_compose.treefile.packages import Preference
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode

_EVEN_IF_OLDER = 1001


def pins(treefile: ResolvedTreefile, archives: Sequence[Archive]) -> tuple[Preference, ...]:
    """apt tells archives apart by their hosts; where two have one host, `check` sees what it made of it."""
    return tuple(
        Preference(package=" ".join(asked.packages), pin=f'origin "{host}"', pin_priority=_EVEN_IF_OLDER)
        for asked in treefile.repo_packages
        for host in dict.fromkeys(
            urlsplit(archive.uri).hostname or "" for archive in archives if _is_of(archive.name, asked.repo)
        )
    )


def check(treefile: ResolvedTreefile, packages: Sequence[LockedPackage]) -> None:
    """Refuse a package that comes from elsewhere.

    Raises:
        DeborchError: CONFLICT of class RESOLVE.
    """
    wanted = {name: asked.repo for asked in treefile.repo_packages for name in asked.packages}
    for package in packages:
        repo = wanted.get(package.name)
        if repo is not None and not _is_of(package.repository, repo):
            raise failure(
                FailureClass.RESOLVE,
                ErrorCode.CONFLICT,
                f"{package.name} {package.version} is from {package.repository}, "
                f"and repo-packages wants it from {repo}",
                hint=f"see that {repo} has it, or tell its version apart with preferences, such as `release n=SUITE`",
            )


def _is_of(archive: str, repository: str) -> bool:
    """Whether `archive` is one address of `repository`: `own`, `own-2`."""
    return re.fullmatch(re.escape(repository) + r"(-[0-9]+)?", archive) is not None
