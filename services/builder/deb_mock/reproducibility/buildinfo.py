"""A .buildinfo (deb-buildinfo(5)) as a plan: what to build again, in which environment, and what must come out.

It comes from somebody else. Names, paths and variables are checked before anything uses them, and variables that could
load code are left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deb_mock.installed import ExactVersion, recorded_packages
from deb_mock.model import BuildMode
from deborch_shared import versions
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.sources import check_file_name

_MAX_BYTES = 4 << 20
_SOURCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?: \((?P<version>[^\s()]+)\))?\Z")
_VARIABLE = re.compile(r'^\s*(?P<name>[A-Z_][A-Z0-9_]*)="(?P<value>(?:[^"\\]|\\.)*)"\s*$', re.MULTILINE)
_CHECKSUM = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<size>\d+)\s+(?P<name>\S+)\Z")
_PACKAGE_SUFFIXES = (".deb", ".udeb", ".ddeb")
_ARCHITECTURE = re.compile(r"[a-z0-9-]+\Z")
_NOT_TAKEN = re.compile(r"LD_|PATH\Z|PERL5|PYTHON|HOME\Z|SHELL\Z|IFS\Z|ENV\Z|BASH_")
"""dpkg-genbuildinfo does not record these; they would change which programs run."""


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What a .buildinfo says."""

    source: str
    source_version: str
    version: str
    """Of the binary packages; another than `source_version` for a binNMU."""
    architecture: str
    mode: BuildMode
    checksums: Mapping[str, str]
    """SHA-256 of each binary package."""
    installed: tuple[ExactVersion, ...]
    environment: Mapping[str, str]
    build_path: str
    build_date: str
    origin: str
    changes: str
    """Binary-Only-Changes: the changelog entry of a binNMU."""

    @property
    def parallel(self) -> int:
        """From DEB_BUILD_OPTIONS."""
        for word in self.environment.get("DEB_BUILD_OPTIONS", "").split():
            name, _, value = word.partition("=")
            if name == "parallel" and value.isdecimal() and int(value) > 0:
                return int(value)
        return 1

    @property
    def profiles(self) -> tuple[str, ...]:
        return tuple(self.environment.get("DEB_BUILD_PROFILES", "").split())


def read_buildinfo(path: Path) -> BuildInfo:
    """Read the .buildinfo at `path`, with or without a signature around it (which is not looked at).

    Raises:
        DeborchError: INVALID_SOURCE that says what is wrong.
    """
    try:
        with path.open("rb") as source:
            text = source.read(_MAX_BYTES + 1)
    except OSError as error:
        _refuse(f"{path} cannot be read: {error.strerror}")
    if len(text) > _MAX_BYTES:
        _refuse(f"{path.name} is larger than {_MAX_BYTES} bytes")
    return parse_buildinfo(text)


def parse_buildinfo(text: bytes) -> BuildInfo:
    """As `read_buildinfo`."""
    fields = Deb822(Deb822.split_gpg_and_payload(iter(text.splitlines(keepends=True)))[1])
    match = _SOURCE.match(str(fields.get("Source", "")))
    version = str(fields.get("Version", ""))
    if match is None or not versions.is_valid(version):
        _refuse("it names no source package and version")
    source_version = match["version"] or version
    if not versions.is_valid(source_version):
        _refuse(f"the version of the source, {bounded(source_version, 80)!r}, is none")
    built = [word for word in str(fields.get("Architecture", "")).split() if word != "source"]
    architecture = str(fields.get("Build-Architecture", ""))
    if not built or _ARCHITECTURE.match(architecture) is None:
        _refuse("it names no architecture, so it is of a source-only build")
    if any(word not in ("all", architecture) for word in built):
        _refuse(f"it is of a cross build, on {architecture} for {' '.join(built)}, which cannot be repeated yet")
    return BuildInfo(
        source=match["name"],
        source_version=source_version,
        version=version,
        architecture=architecture,
        mode=_mode(built),
        checksums=_checksums(str(fields.get("Checksums-Sha256", ""))),
        installed=recorded_packages(fields),
        environment=_environment(str(fields.get("Environment", ""))),
        build_path=str(fields.get("Build-Path", "")),
        build_date=str(fields.get("Build-Date", "")),
        origin=str(fields.get("Build-Origin", "")),
        changes=str(fields.get("Binary-Only-Changes", "")),
    )


def _mode(built: list[str]) -> BuildMode:
    if "all" not in built:
        return "any"
    return "all" if built == ["all"] else "any+all"


def _checksums(field: str) -> dict[str, str]:
    found = {}
    for line in filter(None, (line.strip() for line in field.splitlines())):
        match = _CHECKSUM.match(line)
        if match is None:
            _refuse(f"the checksum {bounded(line, 120)!r} is none")
        check_file_name(match["name"], "the .buildinfo")
        if match["name"].endswith(_PACKAGE_SUFFIXES):
            found[match["name"]] = match["sha256"]
    if not found:
        _refuse("it has SHA-256 checksums of no binary package")
    return found


def _environment(field: str) -> dict[str, str]:
    pairs = ((match["name"], re.sub(r"\\(.)", r"\1", match["value"])) for match in _VARIABLE.finditer(field))
    return {name: value for name, value in pairs if _NOT_TAKEN.match(name) is None}


def _refuse(problem: str) -> NoReturn:
    raise failure(
        FailureClass.POLICY,
        ErrorCode.INVALID_SOURCE,
        f"the .buildinfo cannot be used: {problem}",
        hint="give a .buildinfo that dpkg-genbuildinfo wrote for a build of binary packages",
    )
