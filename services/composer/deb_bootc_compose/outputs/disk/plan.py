"""Where everything lies on a disk, and how it is named: the same for the same commit."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.treefile.outputs import DiskSettings
from deborch_shared.errors import ErrorCode

MIB = 1 << 20
SECTOR_BYTES = 512
_BLOCK_BYTES = 4096
_INODE_BYTES = 256
_JOURNAL_MIB = 64
"""What mke2fs gives a file system of more than 2 GiB; smaller ones get less."""
_METADATA_SHARE = 1.03
_ALIGNMENT_MIB = 1
_NAMESPACE = uuid.UUID("4f1d3a52-6a0e-5c35-9d0b-0a5d9f0c4c11")

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_TYPE = "21686148-6449-6E6F-744E-656564454649"
ROOT_TYPES: Mapping[str, str] = MappingProxyType(
    {"amd64": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "arm64": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"}
)
"""UAPI group, Discoverable Partitions Specification."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One of them, in MiB from the start of the disk."""

    name: str
    type: str
    start_mib: int
    size_mib: int
    uuid: str

    @property
    def offset_bytes(self) -> int:
        return self.start_mib * MIB

    @property
    def first_sector(self) -> int:
        return self.offset_bytes // SECTOR_BYTES

    @property
    def size_bytes(self) -> int:
        return self.size_mib * MIB


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A GUID partition table; `bios` is there if the disk starts without UEFI too."""

    disk_uuid: str
    root_uuid: str
    """Of the file system, which the kernel and the bootloader look for."""
    bios: Partition | None
    esp: Partition
    root: Partition

    @property
    def size_bytes(self) -> int:
        return (self.root.start_mib + self.root.size_mib + _ALIGNMENT_MIB) * MIB

    @property
    def partitions(self) -> tuple[Partition, ...]:
        return (self.bios, self.esp, self.root) if self.bios is not None else (self.esp, self.root)

    def table(self) -> str:
        """As sfdisk(8) reads it."""
        lines = [
            f"start={one.first_sector}, size={one.size_bytes // SECTOR_BYTES}, "
            f"type={one.type}, name={one.name}, uuid={one.uuid}"
            for one in self.partitions
        ]
        return "\n".join(["label: gpt", f"label-id: {self.disk_uuid}", "unit: sectors", *lines, ""])


def root_file_system_uuid(commit: str) -> str:
    """Known before the disk is: kernel arguments name it."""
    return _uuid(commit, "root-file-system")


def plan_disk(commit: str, architecture: str, tree_bytes: int, settings: DiskSettings, *, bios: bool) -> DiskPlan:
    """Partitions for a sysroot that takes `tree_bytes` with its blocks and inodes.

    Raises:
        DeborchError: INVALID_INPUT if `size-mib` is less than that.
    """
    bios_mib = 1 if bios else 0
    esp_start = _ALIGNMENT_MIB + bios_mib
    root_start = esp_start + settings.esp_mib
    needed_mib = -(-int(tree_bytes * _METADATA_SHARE) // MIB) + _JOURNAL_MIB
    around_mib = root_start + _ALIGNMENT_MIB
    root_mib = needed_mib + settings.free_mib if settings.size_mib is None else settings.size_mib - around_mib
    if root_mib < needed_mib:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"a disk of {settings.size_mib} MiB is too small: this tree needs {needed_mib + around_mib} MiB",
            hint="raise `size-mib` under `disk:` in the treefile, or leave it out and give `free-mib`",
        )
    return DiskPlan(
        disk_uuid=_uuid(commit, "disk").upper(),
        root_uuid=root_file_system_uuid(commit),
        bios=_partition(commit, "bios", BIOS_TYPE, _ALIGNMENT_MIB, bios_mib) if bios else None,
        esp=_partition(commit, "esp", ESP_TYPE, esp_start, settings.esp_mib),
        root=_partition(commit, "root", ROOT_TYPES[architecture], root_start, root_mib),
    )


def occupied_bytes(directory: Path) -> int:
    """What the tree takes on an ext4 file system: each inode once, in whole blocks."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for inode, size_bytes in _inodes(directory):
        if inode not in seen:
            seen.add(inode)
            total += _INODE_BYTES + -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
    return total


def _inodes(directory: Path) -> Iterator[tuple[tuple[int, int], int]]:
    for path in directory.rglob("*"):
        found = path.lstat()
        yield (found.st_dev, found.st_ino), max(found.st_size, 1)


def _partition(commit: str, name: str, kind: str, start_mib: int, size_mib: int) -> Partition:
    return Partition(name, kind, start_mib, size_mib, _uuid(commit, name).upper())


def _uuid(commit: str, role: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{commit} {role}"))
