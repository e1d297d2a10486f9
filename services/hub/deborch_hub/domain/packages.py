"""Packages as an archive lists them: what a control stanza may say, and the stanzas of Packages and Sources.

Sources of the rules: Debian Policy, sections 5.1 (syntax), 5.3 (binary control files), 5.6.1 and 5.6.12 (names and
versions), 5.6.8 (architecture); deb822(5).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.ids import Sha256
from deborch_shared.versions import is_valid, without_epoch

ARCHITECTURE_ALL = "all"
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}\Z")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_SOURCE = re.compile(r"(?P<name>[^\s()]+)(?:\s+\((?P<version>[^\s()]+)\))?\Z")
_FIELD = re.compile(r"(?P<name>[!\"$-,.-9;-~][!-9;-~]*):[ \t]*(?P<value>.*)\Z")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SET_BY_THE_ARCHIVE = frozenset({"filename", "size", "md5sum", "sha1", "sha256", "sha512", "directory"})
_SET_BY_THE_ARCHIVE_FOR_SOURCES = frozenset({"files", "checksums-sha1", "checksums-sha256", "checksums-sha512"})


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """What the control file of a .deb or .udeb says. `control` is its stanza, `Package` first, ready to be listed."""

    package: str
    version: str
    architecture: str
    source: str
    udeb: bool
    control: str


@dataclass(frozen=True, slots=True)
class BinaryFile:
    """A binary package and the file that it is in."""

    binary: BinaryPackage
    file_name: str
    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A file of the pool: the digest that finds its content and the name that people know it by."""

    name: str
    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ListedBinary:
    """A binary package that an archive keeps. `version_key` sorts as dpkg does."""

    package: str
    version: str
    version_key: bytes
    architecture: str
    udeb: bool
    control: str
    file: PoolFile

    @property
    def directory(self) -> str:
        return pool_directory(self.file.sha256)

    @property
    def files(self) -> Sequence[PoolFile]:
        return (self.file,)


@dataclass(frozen=True, slots=True)
class ListedSource:
    """A source package that an archive keeps. `files` are the .dsc and all that it names."""

    package: str
    version: str
    version_key: bytes
    control: str
    dsc_sha256: Sha256
    files: Sequence[PoolFile]

    @property
    def directory(self) -> str:
        return pool_directory(self.dsc_sha256)


PackageT = TypeVar("PackageT", ListedBinary, ListedSource)


def pool_directory(sha256: Sha256) -> str:
    """Where in the archive the files of a package are: named by the digest of its .deb or .dsc."""
    return f"pool/{sha256[:2]}/{sha256}"


def parse_stanza(text: str) -> dict[str, str]:
    """`{field: value}` in the order of `text`; continuation lines stay in the value as they are.

    Raises:
        DeborchError: INVALID_INPUT for anything that could end the stanza early or be read in two ways.
    """
    fields: dict[str, str] = {}
    seen: set[str] = set()
    name = ""
    for line in text.strip("\n").split("\n"):
        if _CONTROL_CHARACTER.search(line):
            raise _invalid(f"a control character in {bounded(line, 80)!r}")
        if line[:1] in {" ", "\t"} and name and line.strip():
            fields[name] += "\n" + line.rstrip()
            continue
        matched = _FIELD.match(line)
        if matched is None or matched["name"].lower() in seen:
            raise _invalid(f"{bounded(line, 80)!r} is no new field")
        name = matched["name"]
        seen.add(name.lower())
        fields[name] = matched["value"].rstrip()
    return fields


def binary_from_control(text: str, file_name: str) -> BinaryPackage:
    """The package that the control file `text` describes, checked against the name of the file that it came in.

    Raises:
        DeborchError: INVALID_INPUT if a field is missing or not as Policy has it, or the file name says otherwise.
    """
    fields = {name: value for name, value in parse_stanza(text).items() if name.lower() not in _SET_BY_THE_ARCHIVE}
    package = _checked(fields, "Package", _NAME)
    architecture = _checked(fields, "Architecture", _ARCHITECTURE)
    version = fields.get("Version", "")
    if not is_valid(version):
        raise _invalid(f"Version {bounded(version, 80)!r} is not allowed by Policy, section 5.6.12")
    stem, dot, kind = file_name.rpartition(".")
    if not dot or kind not in {"deb", "udeb"} or stem != f"{package}_{without_epoch(version)}_{architecture}":
        raise _invalid(f"{bounded(file_name, 200)!r} is not the file name of {package} {version} for {architecture}")
    source = _SOURCE.match(fields.get("Source", package))
    if source is None or not _NAME.match(source["name"]):
        raise _invalid(f"Source {bounded(fields['Source'], 80)!r} is not a source package")
    return BinaryPackage(package, version, architecture, source["name"], kind == "udeb", _package_first(fields))


def binary_stanza(listed: ListedBinary) -> bytes:
    """The stanza of a Packages index, with the blank line that ends it."""
    file = listed.file
    return (
        f"{listed.control}\nFilename: {listed.directory}/{file.name}\n"
        f"Size: {file.size_bytes}\nSHA256: {file.sha256}\n\n"
    ).encode()


def source_stanza(listed: ListedSource) -> bytes:
    """The stanza of a Sources index, with the blank line that ends it.

    It carries SHA-256 only: apt needs no other, and the weaker sums of the .dsc do not cover the .dsc itself.
    """
    left_out = _SET_BY_THE_ARCHIVE | _SET_BY_THE_ARCHIVE_FOR_SOURCES | {"source", "package"}
    fields = {
        "Package": listed.package,
        **{
            name: value
            for name, value in parse_stanza(_unsigned(listed.control)).items()
            if name.lower() not in left_out
        },
        "Directory": listed.directory,
        "Checksums-Sha256": "".join(f"\n {file.sha256} {file.size_bytes} {file.name}" for file in listed.files),
    }
    return (_package_first(fields) + "\n\n").encode()


def check_source_control(text: str) -> None:
    """See that the .dsc `text` can stand in an index; INVALID_INPUT if not."""
    parse_stanza(_unsigned(text))


def newest(candidates: Iterable[PackageT], count: int) -> list[PackageT]:
    """The `count` newest by dpkg's order, newest first; of equal ones the package of one architecture before `all`."""
    return sorted(candidates, key=_age, reverse=True)[:count]


def _age(listed: ListedBinary | ListedSource) -> tuple[bytes, str, bool]:
    native = isinstance(listed, ListedBinary) and listed.architecture != ARCHITECTURE_ALL
    return (listed.version_key, listed.version, native)


def _unsigned(text: str) -> str:
    """The stanza inside a clear-signed message (RFC 9580, section 7), or `text` itself."""
    if not text.startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        return text
    _, _, signed = text.partition("\n\n")
    return signed.partition("\n-----BEGIN PGP SIGNATURE-----")[0]


def _package_first(fields: dict[str, str]) -> str:
    lines = [f"Package: {fields['Package']}"]
    lines += [_line(name, value) for name, value in fields.items() if name != "Package"]
    return "\n".join(lines)


def _line(name: str, value: str) -> str:
    return f"{name}:{value}" if value.startswith("\n") else f"{name}: {value}"


def _checked(fields: dict[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name, "")
    if not pattern.match(value):
        raise _invalid(f"{name} {bounded(value, 80)!r} is not allowed by Policy, section 5.6")
    return value


def _invalid(what: str) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"the package's control file is not usable: {what}",
        hint="build the package with dpkg-deb, which checks its control file",
    )
