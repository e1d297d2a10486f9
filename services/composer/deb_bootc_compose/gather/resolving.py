"""The exact packages, by apt: what it would download to install a treefile's packages where nothing is installed."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from debian.deb822 import Deb822

from deb_bootc_compose.archives.archive import BUILT, Archive
from deb_bootc_compose.archives.configuration import PrivateApt
from deb_bootc_compose.archives.lists import Reading
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.gather import complaints, wanted
from deb_bootc_compose.gather.lock import LockedPackage, LockedRepository, sorted_packages
from deb_bootc_compose.treefile.packages import Preference
from deborch_shared.errors import ErrorCode
from deborch_shared.process import OutputSink

PRINT_DOWNLOADS = ("apt-get", "-q", "--yes", "--print-uris", "-o", "Acquire::ForceHash=SHA256")
_PRINTED = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)
_SOURCE = re.compile(r"(?P<name>\S+)(?: \((?P<version>[^)]+)\))?\Z")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be installed, from where, by which preferences."""

    reading: Reading
    lists: Path
    requests: tuple[str, ...]
    preferences: tuple[Preference, ...]
    excluded: tuple[str, ...] = ()
    recommends: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """The answer, with the addresses that apt would fetch from."""

    packages: tuple[LockedPackage, ...]
    uris: dict[str, str]
    """By SHA-256; they may have passwords in them."""
    source_indices: tuple[tuple[Path, str], ...] = ()
    """Files with Sources, and the name of their archive."""


async def resolve(question: Question, place: Path, on_output: OutputSink | None = None) -> Resolved:
    """Ask apt, with its configuration in the new directory `place`; what it says goes to `on_output` too.

    Raises:
        DeborchError: of class RESOLVE: NOT_FOUND for packages that are not there, CONFLICT with apt's chain of
            reasons for those that cannot be installed together.
    """
    reading = question.reading
    apt = PrivateApt(place, question.lists, reading.proxies)
    apt.configure(
        reading.archives,
        reading.host,
        architecture=reading.architecture,
        foreign_architectures=reading.foreign_architectures,
        recommends=question.recommends,
        preferences=question.preferences,
    )
    essential = wanted.ESSENTIAL.format(architecture=reading.architecture)
    done = await apt.run(*PRINT_DOWNLOADS, "install", essential, *question.requests, on_output=on_output)
    output = done.output.decode("utf-8", "replace")
    if done.returncode != 0:
        raise await complaints.explained(apt, output, essential, question.requests, question.excluded)
    printed = {match["sha256"]: match for match in _PRINTED.finditer(output)}
    if not printed:
        raise complaints.nothing(reading.architecture)
    shown = await apt.run("apt-cache", "show", *(_query(match["file"]) for match in printed.values()), check=True)
    uris = {sha256: match["uri"] for sha256, match in printed.items()}
    packages = await asyncio.to_thread(_packages, shown.output.decode("utf-8", "replace"), uris, reading.archives)
    return Resolved(sorted_packages(packages), uris, await _source_indices(apt, reading.archives))


async def _source_indices(apt: PrivateApt, archives: Sequence[Archive]) -> tuple[tuple[Path, str], ...]:
    listed = await apt.run("apt-get", "indextargets", "--format", "$(FILENAME) $(REPO_URI)", "Created-By: Sources")
    rows = (line.split(" ") for line in listed.output.decode("utf-8", "replace").splitlines())
    return tuple((Path(row[0]), _archive_of(row[1], archives).name) for row in rows if len(row) == 2)


def repositories(archives: Iterable[Archive], used: Iterable[LockedPackage]) -> tuple[LockedRepository, ...]:
    """The archives that packages came from, without what lets somebody in."""
    names = {package.repository for package in used}
    return tuple(
        LockedRepository(name=one.name)
        if one.name == BUILT
        else LockedRepository(
            name=one.name, uri=without_password(one.uri), suites=one.suites, components=one.components
        )
        for one in archives
        if one.name in names
    )


def without_password(uri: str) -> str:
    """`uri` without user name and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _query(file: str) -> str:
    """`NAME:ARCHITECTURE=VERSION` for a file as apt names it in its cache."""
    name, version, architecture = unquote(file.removesuffix(".deb")).split("_")
    return f"{name}={version}" if architecture == "all" else f"{name}:{architecture}={version}"


def _packages(shown: str, uris: dict[str, str], archives: Sequence[Archive]) -> list[LockedPackage]:
    found = {}
    for stanza in Deb822.iter_paragraphs(shown, use_apt_pkg=False):
        sha256 = stanza.get("SHA256", "")
        if sha256 in uris:
            found[sha256] = _package(stanza, sha256, uris[sha256], archives)
    lost = [uri for sha256, uri in uris.items() if sha256 not in found]
    if lost:
        raise failure(
            FailureClass.RESOLVE,
            ErrorCode.NOT_FOUND,
            f"apt would install {without_password(lost[0])}, of which its lists say nothing",
            hint="remove cache/lists in the state directory and try again",
        )
    return list(found.values())


def _package(stanza: Deb822, sha256: str, uri: str, archives: Sequence[Archive]) -> LockedPackage:
    source = _SOURCE.match(stanza.get("Source") or stanza["Package"])
    path = str(stanza["Filename"]).removeprefix("./")
    return LockedPackage(
        name=stanza["Package"],
        version=stanza["Version"],
        architecture=stanza["Architecture"],
        sha256=sha256,
        size_bytes=int(stanza["Size"]),
        installed_kib=int(stanza.get("Installed-Size", 0)),
        source=source["name"] if source else stanza["Package"],
        source_version=(source["version"] if source else None) or stanza["Version"],
        repository=_archive_of(uri, archives).name,
        path=path,
    )


def _archive_of(uri: str, archives: Sequence[Archive]) -> Archive:
    """The one whose address `uri` begins with; the longest, if one is within another."""
    address = _address(uri)
    matching = [one for one in archives if address.startswith(_address(one.uri).rstrip("/") + "/")]
    return max(matching, key=lambda one: len(one.uri), default=archives[0])


def _address(uri: str) -> str:
    """As apt prints it: without user and password, and `file:/` however many slashes there were."""
    return re.sub(r"^file:/*", "file:/", without_password(uri))
