"""Which indices an archive has and which stanzas stand in each. Pure.

Packages of architecture `all` stand in the index of every architecture, and Release does not name `all` among its
architectures: every version of apt reads that form (the repository format calls it the form without support for `all`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from deborch_hub.archives.layout import COMPONENT
from deborch_hub.archives.shards import Block
from deborch_hub.domain.packages import (
    ARCHITECTURE_ALL,
    ListedBinary,
    ListedSource,
    binary_stanza,
    newest,
    source_stanza,
)
from deborch_hub.store.archive_contents import ArchiveChanges

PackageT = TypeVar("PackageT", ListedBinary, ListedSource)


class IndexKind(StrEnum):
    BINARY = "binary"
    INSTALLER = "installer"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Index:
    """One index: what it lists and, unless it lists sources, for which architecture."""

    kind: IndexKind
    architecture: str = ""

    @property
    def directory(self) -> str:
        """Below the directory of Release."""
        match self.kind:
            case IndexKind.BINARY:
                return f"{COMPONENT}/binary-{self.architecture}"
            case IndexKind.INSTALLER:
                return f"{COMPONENT}/debian-installer/binary-{self.architecture}"
            case IndexKind.SOURCE:
                return f"{COMPONENT}/source"

    @property
    def path(self) -> str:
        """The uncompressed index; Release names it, only the compressed one is on disk."""
        return f"{self.directory}/{'Sources' if self.kind is IndexKind.SOURCE else 'Packages'}"

    @property
    def packed_path(self) -> str:
        return f"{self.path}.gz"

    @property
    def by_hash_directory(self) -> str:
        return f"{self.directory}/by-hash/SHA256"

    def by_hash(self, sha256: str) -> str:
        return f"{self.by_hash_directory}/{sha256}"


def indices_of(architectures: Sequence[str]) -> list[Index]:
    """The indices of an archive, in the order in which Release names them."""
    return [
        *(Index(IndexKind.BINARY, architecture) for architecture in architectures),
        *(Index(IndexKind.INSTALLER, architecture) for architecture in architectures),
        Index(IndexKind.SOURCE),
    ]


def changed_blocks(index: Index, changes: ArchiveChanges, versions: int) -> dict[str, Block | None]:
    """What `index` lists of each changed package; None if it lists nothing of it."""
    if index.kind is IndexKind.SOURCE:
        sources = _by_name(changes.sources)
        return {
            package: b"".join(source_stanza(one) for one in newest(listed, versions))
            for package, listed in sources.items()
        }
    blocks: dict[str, Block | None] = {}
    for package, listed in _by_name(changes.binaries).items():
        candidates = [binary for binary in listed if _belongs(binary, index)]
        blocks[package] = b"".join(binary_stanza(one) for one in newest(candidates, versions)) or None
    return blocks


def _belongs(binary: ListedBinary, index: Index) -> bool:
    return binary.architecture in {index.architecture, ARCHITECTURE_ALL} and binary.udeb == (
        index.kind is IndexKind.INSTALLER
    )


def _by_name(packages: Iterable[PackageT]) -> dict[str, list[PackageT]]:
    grouped: dict[str, list[PackageT]] = {}
    for one in packages:
        grouped.setdefault(one.package, []).append(one)
    return grouped
