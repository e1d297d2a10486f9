"""One APT repository as a compose reads it, and which ones a treefile means."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.treefile.packages import Repository
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.apt.host import HostApt
from deborch_shared.apt.releases import release_url
from deborch_shared.errors import DeborchError, ErrorCode

TARGETS = "targets"
"""The key of `Targets` in `PhaseWork.services`."""
BUILT = "built"
"""The archive of what was built for the compose. It is within the state directory, so lock files say no address."""
_PLACEHOLDER = "{snapshot}"
_POCKETS = ("updates", "security")
_WITHOUT_POCKETS = frozenset({"sid", "unstable", "experimental", "rc-buggy"})


class Targets(Protocol):
    """The archives of a hub, for repositories that a treefile names by `target`."""

    async def repository(self, target: str) -> Repository:
        """Where the archive of `target` is, with the armoured key in `signed_by`."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Suites at one address, signed by the same keys."""

    name: str
    """Unique in a compose; lock files name it."""
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: tuple[Path, ...] | str
    """Keyring files, or one armoured key."""
    check_valid_until: bool = True
    sources: bool = False
    """Also read the index of source packages."""

    @property
    def release_urls(self) -> list[str]:
        return [release_url(self.uri, suite) for suite in self.suites]


async def archives_of(
    treefile: ResolvedTreefile, host: HostApt, keyring: Path, targets: Targets | None
) -> tuple[Archive, ...]:
    """The suite and the suites beside it, then the treefile's own repositories.

    `keyring` has the keys of the distribution; the treefile's keyrings come in its place.

    Raises:
        DeborchError: of class TREEFILE or HOST, for what cannot be an archive, such as one without keys.
    """
    keys = tuple(treefile.directory / path for path in treefile.keyrings) or (keyring,)
    found = _of_suite(treefile, host, _existing(keys, "keyrings"))
    for repository in treefile.repositories:
        found += _own(treefile, await _located(repository, targets), keys)
    return tuple(found)


def _of_suite(treefile: ResolvedTreefile, host: HostApt, keys: tuple[Path, ...]) -> list[Archive]:
    check = treefile.check_valid_until and treefile.snapshot is None
    if treefile.mirror is not None:
        uri = _dated(treefile.mirror, treefile.snapshot, "mirror")
        return [Archive("suite", uri, (treefile.suite,), treefile.components, keys, check, sources=True)]
    if treefile.snapshot is not None:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            "the treefile has a snapshot date, but no mirror that has snapshots",
            hint=f"give a mirror with {_PLACEHOLDER} in its address",
        )
    names: dict[str, list[str]] = {}
    for uri, suite in _on_host(host, treefile.suite):
        names.setdefault(uri, []).append(suite)
    if not names:
        raise failure(
            FailureClass.HOST,
            ErrorCode.INVALID_SETTING,
            f"the host's apt sources name no archive that could have {treefile.suite}",
            hint="give a mirror in the treefile",
        )
    return [
        Archive(
            "suite" if number == 0 else f"suite-{number + 1}",
            uri,
            tuple(suites),
            treefile.components,
            keys,
            check,
            sources=True,
        )
        for number, (uri, suites) in enumerate(names.items())
    ]


def _on_host(host: HostApt, suite: str) -> list[tuple[str, str]]:
    """Addresses and suites: those of the host, or for another suite of its distribution where these would be."""
    known = host.sources_of("debian") or host.sources_of(host.distribution)
    wanted = {suite, *(f"{suite}-{pocket}" for pocket in _POCKETS)}
    own = [(source.uri, source.suite) for source in known if source.suite in wanted]
    if any(name == suite for _, name in own):
        return list(dict.fromkeys(own))
    main = next((one.uri for one in known if one.suite == host.codename or "-" not in one.suite), None)
    if main is None:
        return []
    found = [(main, suite)]
    for pocket in () if suite in _WITHOUT_POCKETS else _POCKETS:
        uri = next((one.uri for one in known if one.suite.endswith(f"-{pocket}")), None)
        found += [(uri, f"{suite}-{pocket}")] if uri else []
    return found


async def _located(repository: Repository, targets: Targets | None) -> Repository:
    if repository.target is None:
        return repository
    if targets is None:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"the repository {repository.name} is the target {repository.target} of a hub, and no hub is asked here",
            hint="have a hub compose it (deborch compose create), or give uris, suites and signed-by of its archive",
        )
    found = await targets.repository(repository.target)
    return found.model_copy(update={"name": repository.name, "snapshot": repository.snapshot})


def _own(treefile: ResolvedTreefile, repository: Repository, keys: tuple[Path, ...]) -> list[Archive]:
    snapshot = repository.snapshot
    signed_by: tuple[Path, ...] | str = keys
    if repository.signed_by is not None:
        armoured = "BEGIN PGP" in repository.signed_by
        signed_by = repository.signed_by if armoured else (treefile.directory / repository.signed_by,)
    if not isinstance(signed_by, str):
        _existing(signed_by, f"signed-by of the repository {repository.name}")
    check = repository.check_valid_until and snapshot is None
    return [
        Archive(
            repository.name if number == 0 else f"{repository.name}-{number + 1}",
            _dated(uri, snapshot or treefile.snapshot, f"repository {repository.name}"),
            repository.suites,
            repository.components,
            signed_by,
            check,
        )
        for number, uri in enumerate(repository.uris)
    ]


def _dated(uri: str, snapshot: str | None, where: str) -> str:
    if _PLACEHOLDER in uri and snapshot is None:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"{where}: the address has {_PLACEHOLDER}, and there is no snapshot date",
            hint="give snapshot a date such as 20261120T000000Z",
        )
    return uri.replace(_PLACEHOLDER, snapshot or "")


def _existing(keys: Sequence[Path], where: str) -> tuple[Path, ...]:
    missing = next((path for path in keys if not path.is_file()), None)
    if missing is not None:
        raise _no_keys(missing, where)
    return tuple(keys)


def _no_keys(path: Path, where: str) -> DeborchError:
    package = f"apt-get install {path.stem}, or " if path.parent == Path("/usr/share/keyrings") else ""
    return failure(
        FailureClass.HOST if package else FailureClass.TREEFILE,
        ErrorCode.INVALID_SETTING,
        f"{where}: the keyring {path} does not exist",
        hint=f"{package}name a file with the keys of the archive",
    )
