"""What a lock file means for a compose that is made again: which file, whether it fits, and where the .debs are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from deb_bootc_compose.archives.archive import BUILT, Archive
from deb_bootc_compose.archives.debs import WantedDeb
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.gather import wanted
from deb_bootc_compose.gather.lock import Lock, LockedPackage
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.packages import Preference
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode

_EVEN_IF_OLDER = 1001
_UNQUOTED = "/~:+=-._!$&'()*,;@"


def lock_path(request: ComposeRequest, target: Target | None) -> Path | None:
    """The lock file for `target`: the one that is given, or `VARIANT.ARCHITECTURE.lock.json` in that directory.

    Raises:
        DeborchError: INVALID_INPUT of class TREEFILE if the directory has none for it.
    """
    path = request.lockfile
    if path is None or not path.is_dir():
        return path
    own = path / f"{target}.lock.json"
    if not own.is_file():
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"there is no lock file {own}",
            hint="copy lock.json of that target there, or leave --lockfile out",
        )
    return own


def check(lock: Lock, treefile: ResolvedTreefile) -> None:
    """Refuse a lock file that cannot be the one of `treefile`.

    Raises:
        DeborchError: INVALID_INPUT of class RESOLVE
    """
    problem = _problem(lock, treefile)
    if problem:
        raise failure(
            FailureClass.RESOLVE,
            ErrorCode.INVALID_INPUT,
            f"the lock file does not fit the treefile: {problem}",
            hint="take the lock file of a compose of this target, or leave --lockfile-strict out",
        )


def _problem(lock: Lock, treefile: ResolvedTreefile) -> str:
    if lock.architecture != treefile.architecture:
        return f"it is for {lock.architecture}, not for {treefile.architecture}"
    if lock.foreign_architectures != treefile.foreign_architectures:
        return "its foreign architectures are others"
    names = {package.name for package in lock.packages}
    lacking = [name for name in wanted.requests(treefile) if wanted.request_name(name) not in names]
    if lacking:
        return f"it has no {', '.join(lacking)}"
    excluded = [name for name in treefile.exclude_packages if wanted.request_name(name) in names]
    return f"it has {', '.join(excluded)}, which exclude-packages leaves out" if excluded else ""


def pins(lock: Lock) -> tuple[Preference, ...]:
    """What makes apt take the versions of the lock file wherever an archive still has them.

    What is built for the compose is as it is built now.
    """
    return tuple(
        Preference(package=_pinned(package, lock), pin=f"version {package.version}", pin_priority=_EVEN_IF_OLDER)
        for package in lock.packages
        if package.repository != BUILT
    )


def _pinned(package: LockedPackage, lock: Lock) -> str:
    architecture = lock.architecture if package.architecture == "all" else package.architecture
    return f"{package.name}:{architecture}"


def wanted_debs(lock: Lock, archives: Sequence[Archive], uris: Mapping[str, str]) -> list[WantedDeb]:
    """Where each .deb can be had: where apt says, else where the treefile's archives now are, else where it was."""
    now = {archive.name: archive.uri for archive in archives}
    then = {repository.name: repository.uri or "" for repository in lock.repositories}
    found = []
    for package in lock.packages:
        own = [uris[package.sha256]] if package.sha256 in uris else []
        bases = [base for known in (now, then) if (base := known.get(package.repository))]
        below = [f"{base.rstrip('/')}/{quote(package.path, safe=_UNQUOTED)}" for base in bases]
        name = f"{package.name} {package.version} {package.architecture}"
        addresses = tuple(dict.fromkeys([*own, *below]))
        found.append(WantedDeb(name, package.sha256, package.size_bytes, addresses))
    return found
