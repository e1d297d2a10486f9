"""Which archive a suite is read from: the mirror setting, or what the host's own apt sources name."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from deb_mock.engine_config import ArchiveChoice, EngineConfig
from deb_mock.failures import FailureClass, failure
from deborch_shared.apt.host import AptSource, HostApt
from deborch_shared.errors import DeborchError, ErrorCode

_SECURITY = "security"
_WITHOUT_POCKETS = frozenset({"sid", "unstable", "experimental", "rc-buggy"})
"""Suites that are read beside one of another template, and have no suites beside them whatever that template says."""
_NAMES = {"debian": "Debian", "ubuntu": "Ubuntu"}


def archive_sources(
    host: HostApt, config: EngineConfig, suite: str, components: tuple[str, ...]
) -> tuple[AptSource, ...]:
    """The sources of `suite` and of the suites beside it.

    With a mirror, the suite on it. Without, what the host uses for that suite; for another suite of the same
    distribution, that suite on the host's archive, and its security suite where the host has security updates from.

    Raises:
        DeborchError: INVALID_SETTING if the host has no such archive among its sources, or if the keys are missing.
    """
    choice = config.archive
    if suite in _WITHOUT_POCKETS:
        choice = replace(choice, pockets=())
    found = _on_host(host, choice, suite) if config.mirror is None else _on_mirror(config.mirror, choice, suite)
    if not found:
        raise _no_archive(choice, suite)
    if not config.keyring.exists():
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.INVALID_SETTING,
            f"{config.keyring} with the keys of {_NAMES[choice.distribution]}'s archive does not exist",
            hint=f"apt-get install {choice.keyring_package}, or set keyring to where the keys are",
        )
    return tuple(AptSource(uri, name, components) for uri, name in found)


def _on_mirror(mirror: str, choice: ArchiveChoice, suite: str) -> Iterable[tuple[str, str]]:
    found = [(mirror, suite)]
    for pocket in choice.pockets or ():
        if pocket != _SECURITY:
            found.append((mirror, f"{suite}-{pocket}"))
        elif choice.security_mirror is not None:
            found.append((choice.security_mirror, f"{suite}-{pocket}"))
        elif choice.distribution == "ubuntu":
            found.append((mirror, f"{suite}-{pocket}"))
    return found


def _on_host(host: HostApt, choice: ArchiveChoice, suite: str) -> Iterable[tuple[str, str]]:
    known = host.sources_of(choice.distribution)
    pockets = ("updates", _SECURITY) if choice.pockets is None else choice.pockets
    wanted = {suite, *(f"{suite}-{pocket}" for pocket in pockets)}
    own = [(source.uri, source.suite) for source in known if source.suite in wanted]
    if any(name == suite for _, name in own):
        return dict.fromkeys(own)
    main = next(
        (one.uri for one in known if one.suite == host.codename or (one.signed_by and "-" not in one.suite)), ""
    )
    if not main:
        return ()
    return ((main, suite), *_beside(known, choice, suite, main))


def _beside(known: Iterable[AptSource], choice: ArchiveChoice, suite: str, main: str) -> Iterable[tuple[str, str]]:
    security = choice.security_mirror or next((one.uri for one in known if one.suite.endswith(f"-{_SECURITY}")), "")
    for pocket in choice.pockets or ():
        uri = security if pocket == _SECURITY else main
        if uri:
            yield uri, f"{suite}-{pocket}"


def _no_archive(choice: ArchiveChoice, suite: str) -> DeborchError:
    name = _NAMES[choice.distribution]
    keys = "" if Path("/usr/share/keyrings", f"{choice.keyring_package}.gpg").exists() else choice.keyring_package
    return failure(
        FailureClass.CHROOT,
        ErrorCode.INVALID_SETTING,
        f"the host's apt sources name no {name} archive for {suite}",
        hint=f"give the URI of a mirror of {name} by --mirror, or in the configuration as mirror"
        + (f"; its keys are in the package {keys}" if keys else ""),
    )
