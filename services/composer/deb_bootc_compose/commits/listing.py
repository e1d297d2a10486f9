"""What `ostree ls` says about the files of a commit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_LINE = re.compile(
    rb"(?P<kind>[-dl])(?P<mode>[0-7]{5}) (?P<uid>\d+) (?P<gid>\d+) +(?P<size>\d+)"
    rb" (?P<checksum>[0-9a-f]{64})(?: [0-9a-f]{64})? (?P<path>/.*)\Z"
)
_LINK_ARROW = b" -> "


class FileKind(StrEnum):
    """What OSTree can hold."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


_KINDS = {b"-": FileKind.FILE, b"d": FileKind.DIRECTORY, b"l": FileKind.LINK}


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """One file, directory or link of a commit. Two of the same checksum are the same in content and attributes."""

    path: str
    """Absolute."""
    kind: FileKind
    mode: int
    uid: int
    gid: int
    size_bytes: int
    checksum: str
    """Of the OSTree object; for a directory that of its content."""
    target: str | None = None
    """Of a link."""

    @property
    def object_name(self) -> str:
        """Below `objects/` of a bare repository."""
        suffix = "dirtree" if self.kind is FileKind.DIRECTORY else "file"
        return f"{self.checksum[:2]}/{self.checksum[2:]}.{suffix}"


def parse_listing(output: bytes) -> Iterator[CommittedFile]:
    """Files of `ostree ls -R -C`, in its order.

    Raises:
        DeborchError: INTERNAL for a line that is none.
    """
    for line in output.splitlines():
        found = _LINE.match(line)
        if found is None:
            raise DeborchError(
                ErrorCode.INTERNAL,
                f"ostree listed a file in a way that is not understood: {bounded(line, 200)}",
                hint="a file name may hold no line break; otherwise report it with the version of ostree",
            )
        kind = _KINDS[found["kind"]]
        path, _, target = found["path"].partition(_LINK_ARROW) if kind is FileKind.LINK else (found["path"], b"", b"")
        yield CommittedFile(
            path=path.decode("utf-8", "surrogateescape"),
            kind=kind,
            mode=int(found["mode"], 8),
            uid=int(found["uid"]),
            gid=int(found["gid"]),
            size_bytes=int(found["size"]),
            checksum=found["checksum"].decode(),
            target=target.decode("utf-8", "surrogateescape") if kind is FileKind.LINK else None,
        )
