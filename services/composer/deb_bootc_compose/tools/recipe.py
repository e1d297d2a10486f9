"""Which packages a tools root is made of: one small set for trees and disks, one with a machine to boot them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode

SUITE = "trixie"
"""Its qemu boots every kernel without KVM, its ostree writes what later ones read; it is not the suite composed."""
_VERSION = 1
"""Raised when the same packages are to be made into something else."""


class ToolSet(StrEnum):
    """What a tools root is for. Two, because who makes a tree should not wait for 400 MB of qemu."""

    TREE = "tree"
    """Commits, images, disks."""
    MACHINE = "machine"
    """Booting them."""


_EVERYWHERE: Mapping[ToolSet, tuple[str, ...]] = MappingProxyType(
    {
        ToolSet.TREE: (
            *("ostree", "skopeo", "gpg", "gpg-agent", "gpgv", "ca-certificates", "zstd", "xz-utils"),
            *("e2fsprogs", "dosfstools", "mtools", "fdisk", "qemu-utils", "xorriso", "grub-common"),
        ),
        ToolSet.MACHINE: ("e2fsprogs",),
    }
)
_BY_ARCHITECTURE: Mapping[str, Mapping[ToolSet, tuple[str, ...]]] = MappingProxyType(
    {
        "amd64": {
            ToolSet.TREE: ("grub-efi-amd64-bin", "grub-pc-bin"),
            ToolSet.MACHINE: ("qemu-system-x86", "ovmf"),
        },
        "arm64": {
            ToolSet.TREE: ("grub-efi-arm64-bin",),
            ToolSet.MACHINE: ("qemu-system-arm", "qemu-efi-aarch64"),
        },
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a tools root, but for the day on which the archive is read."""

    tool_set: ToolSet
    architecture: str
    packages: tuple[str, ...]
    suite: str = SUITE

    @property
    def key(self) -> str:
        """Names the directory in the state directory."""
        return digest_of([_VERSION, self.tool_set, self.architecture, self.suite, self.packages])[:32]


def recipe_for(tool_set: ToolSet, architecture: str) -> Recipe:
    """The set for a machine of `architecture`, in Debian's words.

    Raises:
        DeborchError: INVALID_SETTING on an architecture that the engine does not run on.
    """
    own = _BY_ARCHITECTURE.get(architecture)
    if own is None:
        raise failure(
            FailureClass.HOST,
            ErrorCode.INVALID_SETTING,
            f"composes are not made on {architecture} machines",
            hint=f"run it on one of these: {', '.join(sorted(_BY_ARCHITECTURE))}",
        )
    return Recipe(tool_set, architecture, tuple(sorted((*_EVERYWHERE[tool_set], *own[tool_set]))))
