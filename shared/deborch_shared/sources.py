"""Reading a .dsc: what it says, and everything that is wrong with it. Text in, data out; no I/O.

The hub checks uploads with it and the build engine checks what it builds. Source of the rules: dsc(5), and Debian
Policy, sections 5.4 (source package control files), 5.6.1 (Source) and 5.6.21 (Files).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from debian.deb822 import Dsc

from deborch_shared import versions
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.ids import Sha256

MAX_DSC_BYTES = 1 << 20
FORMATS = ("1.0", "3.0 (quilt)", "3.0 (native)")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.,_~:=@%-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_TARBALL = re.compile(r"\.tar\.(?:gz|bz2|xz|lzma)\Z")
_MAX_NAME_CHARACTERS = 200
_MAX_FILES = 100
_RELATION_FIELDS = (
    "Build-Depends",
    "Build-Depends-Indep",
    "Build-Depends-Arch",
    "Build-Conflicts",
    "Build-Conflicts-Indep",
    "Build-Conflicts-Arch",
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a .dsc names."""

    name: str
    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """What a .dsc says."""

    name: str
    version: str
    format: str
    architectures: tuple[str, ...]
    """As in the Architecture field: names, wildcards such as `linux-any`, or `any` and `all`."""
    files: tuple[SourceFile, ...]
    """Without the .dsc itself."""
    binaries: tuple[str, ...]
    maintainer: str
    relations: Mapping[str, str]
    """The fields of build dependencies and conflicts that are there, with white space collapsed."""
    is_signed: bool
    """Whether it comes inside an OpenPGP clear-text signature, good or bad."""

    @property
    def dsc_name(self) -> str:
        """What dpkg-source calls the .dsc itself."""
        return f"{self.name}_{versions.without_epoch(self.version)}.dsc"


def parse_dsc(text: bytes, *, file_name: str = "the .dsc") -> SourceDescription:
    """Read a .dsc, signed or not. The signature is not checked here.

    Raises:
        DeborchError: INVALID_SOURCE if it is no usable .dsc, UNSAFE_PATH if a file name could leave its directory.
    """
    if len(text) > MAX_DSC_BYTES:
        _refuse(file_name, f"is larger than {MAX_DSC_BYTES} bytes", "give the .dsc, not a tarball")
    try:
        fields = Dsc(text.decode("utf-8").splitlines())
    except (UnicodeDecodeError, ValueError, TypeError) as error:
        _refuse(file_name, f"cannot be read: {error}", "make it again with dpkg-source -b")
    name = _required(fields, "Source", file_name)
    version = _required(fields, "Version", file_name)
    if _NAME.match(name) is None or len(name) > _MAX_NAME_CHARACTERS:
        _refuse(file_name, f"names the source package {name!r}", "use lower-case letters, digits and + - .")
    if not versions.is_valid(version):
        _refuse(file_name, f"has the version {version!r}", "see deb-version(7) for what a version may be")
    return SourceDescription(
        name=name,
        version=version,
        format=_format(fields, file_name),
        architectures=tuple(_required(fields, "Architecture", file_name).split()),
        files=_files(fields, file_name),
        binaries=tuple(part for part in re.split(r"[,\s]+", fields.get("Binary", "")) if part),
        maintainer=bounded(fields.get("Maintainer", ""), 300),
        relations={field: " ".join(fields[field].split()) for field in _RELATION_FIELDS if fields.get(field)},
        is_signed=text.lstrip().startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"),
    )


def check_file_name(name: str, owner: str) -> str:
    """`name`, if it is a plain file name that stays in its directory.

    Raises:
        DeborchError: UNSAFE_PATH
    """
    if _FILE_NAME.match(name) is None or len(name) > _MAX_NAME_CHARACTERS:
        raise DeborchError(
            ErrorCode.UNSAFE_PATH,
            f"{owner} names the file {bounded(name, 200)!r}",
            hint="files must lie beside it: no '/', no leading '.' or '-', plain characters only",
            file=bounded(name, 200),
        )
    return name


def _format(fields: Dsc, file_name: str) -> str:
    value = str(fields.get("Format", "1.0"))
    if value not in FORMATS:
        _refuse(file_name, f"has the format {value!r}", f"supported are {', '.join(FORMATS)}")
    return value


def _files(fields: Dsc, file_name: str) -> tuple[SourceFile, ...]:
    if not fields.get("Checksums-Sha256"):
        _refuse(file_name, "has no Checksums-Sha256 field", "make it again with dpkg-source -b; MD5 alone is not taken")
    try:
        entries = [(entry["name"], entry["sha256"].lower(), int(entry["size"])) for entry in fields["Checksums-Sha256"]]
    except (KeyError, ValueError, TypeError) as error:
        _refuse(file_name, f"has a broken Checksums-Sha256 field: {error}", "make it again with dpkg-source -b")
    files = tuple(_file(entry, file_name) for entry in entries)
    names = [file.name for file in files]
    if len(set(names)) != len(names) or len(names) > _MAX_FILES:
        _refuse(file_name, "lists a file twice or too many files", "make it again with dpkg-source -b")
    if not any(_TARBALL.search(name) for name in names):
        _refuse(file_name, "lists no tarball", "make it again with dpkg-source -b")
    return files


def _file(entry: tuple[str, str, int], file_name: str) -> SourceFile:
    name, sha256, size_bytes = entry
    check_file_name(name, file_name)
    if _SHA256.match(sha256) is None or size_bytes < 0:
        _refuse(file_name, f"has a malformed checksum or size for {name}", "make it again with dpkg-source -b")
    return SourceFile(name, Sha256(sha256), size_bytes)


def _required(fields: Dsc, field: str, file_name: str) -> str:
    value = str(fields.get(field, "")).strip()
    if not value:
        _refuse(file_name, f"has no {field} field", "give a .dsc made by dpkg-source -b")
    return value


def _refuse(file_name: str, problem: str, hint: str) -> NoReturn:
    raise DeborchError(ErrorCode.INVALID_SOURCE, f"{file_name} {bounded(problem, 400)}", hint=hint)
