"""What a file system has left for a build, in bytes and in files: either may run out."""

import os
from dataclasses import dataclass
from typing import Self

_FULL_BELOW_BYTES = 64 << 10
_NEARLY_FULL_BELOW_BYTES = 64 << 20
_NEARLY_FULL_SHARE = 8
"""Programs remove what they could not write to its end, so a file system has some space again once they have failed."""
_FEW_FILES = 4_096
_FEW_FILES_SHARE = 100


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Of one file system."""

    left_bytes: int
    size_bytes: int
    files_left: int = 0
    files: int = 0
    """0: it makes inodes as it needs them."""

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """What the file system of an open file has."""
        found = os.fstatvfs(descriptor)
        return cls(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files)

    @property
    def has_few_files(self) -> bool:
        return self.files_left < min(_FEW_FILES, self.files // _FEW_FILES_SHARE)

    @property
    def is_full(self) -> bool:
        return self.left_bytes < _FULL_BELOW_BYTES or (self.files > 0 and self.files_left == 0)

    @property
    def is_nearly_full(self) -> bool:
        """So that a program may well have failed for it."""
        enough = min(_NEARLY_FULL_BELOW_BYTES, self.size_bytes // _NEARLY_FULL_SHARE)
        return self.is_full or self.has_few_files or self.left_bytes < enough
