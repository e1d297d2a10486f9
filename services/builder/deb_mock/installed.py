"""The exact set of packages in a buildroot, and whether a .buildinfo tells the truth about it."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode, bounded

QUERY = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version} ${Architecture}\\n")
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::(?P<architecture>[a-z0-9-]+))? \(= (?P<version>[^\s()]+)\)\Z"
)
_FIELD = "Installed-Build-Depends"


@dataclass(frozen=True, slots=True, order=True)
class InstalledPackage:
    """A binary package at a version."""

    name: str
    version: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.name}_{self.version}_{self.architecture}"


@dataclass(frozen=True, slots=True)
class ExactVersion:
    """What a .buildinfo says was installed; no architecture: that of the build, or all."""

    name: str
    version: str
    architecture: str = ""

    def for_apt(self) -> str:
        """As apt-get install takes it."""
        return f"{self.name}{':' if self.architecture else ''}{self.architecture}={self.version}"


def installed_packages(query_output: str) -> tuple[InstalledPackage, ...]:
    """What `QUERY` printed, sorted; only what is installed."""
    rows = (line.split(" ") for line in query_output.splitlines())
    return tuple(sorted(InstalledPackage(*row[1:]) for row in rows if len(row) == 4 and row[0] == "installed"))


def digest_of(packages: Iterable[InstalledPackage]) -> str:
    """Names the set: SHA-256 of its lines `NAME_VERSION_ARCHITECTURE`."""
    return hashlib.sha256("".join(f"{package}\n" for package in packages).encode()).hexdigest()


def recorded_packages(buildinfo: Deb822) -> tuple[ExactVersion, ...]:
    """Installed-Build-Depends of deb-buildinfo(5).

    Raises:
        DeborchError: INVALID_SOURCE for what is no list of exact versions.
    """
    found = []
    for relation in str(buildinfo.get(_FIELD, "")).split(","):
        if not relation.strip():
            continue
        match = _RELATION.match(relation.strip())
        if match is None:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_SOURCE,
                f"{_FIELD} of the .buildinfo names {bounded(relation.strip(), 80)!r}, which is no exact version",
                hint="each entry is NAME (= VERSION), as dpkg-genbuildinfo writes it",
            )
        found.append(ExactVersion(match["name"], match["version"], match["architecture"] or ""))
    return tuple(found)


def check_record(buildinfo: Deb822, installed: Iterable[InstalledPackage]) -> None:
    """Refuse a .buildinfo that names what was not in the buildroot: it is written by the build, which is foreign.

    Raises:
        DeborchError: BUILD_FAILED of class policy.
    """
    there = {(package.name, package.version) for package in installed}
    wrong = [each.for_apt() for each in recorded_packages(buildinfo) if (each.name, each.version) not in there]
    if wrong:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.BUILD_FAILED,
            f"the .buildinfo names packages that were not in the buildroot: {bounded(', '.join(wrong), 400)}",
            hint="debian/rules must leave the .buildinfo to dpkg-genbuildinfo",
        )
