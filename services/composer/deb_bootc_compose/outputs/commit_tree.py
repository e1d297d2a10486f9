"""A commit read where it lies: the files of a bare repository are its objects, so nothing is checked out."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.oci.tree import Entry, Kind
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.errors import ErrorCode

_LISTED = re.compile(
    r"(?P<kind>[-dl])(?P<mode>[0-7]{5}) (?P<uid>\d+) (?P<gid>\d+) +(?P<size>\d+) "
    r"(?P<checksum>[0-9a-f]{64})(?: [0-9a-f]{64})? (?P<path>/.*)\Z"
)
_KINDS = {"-": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.SYMLINK}
_LIST_TIMEOUT_S = 300.0
_MAX_LIST_BYTES = 256 << 20


class CommitTree:
    """A tree as images and archives are made of it."""

    def __init__(self, repository: Path, entries: Sequence[Entry]) -> None:
        self._objects = repository / "objects"
        self._entries = entries

    @classmethod
    async def of(cls, repository: Path, commit: str, tools: Tools) -> Self:
        """The tree of `commit` in a repository of mode bare.

        Raises:
            DeborchError: PROCESS_FAILED if the commit is not there; INVALID_INPUT if a name in it has a line break.
        """
        argv = ["ostree", f"--repo={repository}", "ls", "--recursive", "--checksum", commit, "/"]
        chunks: list[bytes] = []
        await tools.run(argv, bound=(Bound(repository),), on_output=chunks.append, timeout_s=_LIST_TIMEOUT_S)
        return cls(repository, tuple(parse_listing(b"".join(chunks).decode("utf-8", "surrogateescape").splitlines())))

    @property
    def entries(self) -> Sequence[Entry]:
        return self._entries

    def content(self, entry: Entry) -> Path:
        return self._objects / entry.checksum[:2] / f"{entry.checksum[2:]}.file"


def parse_listing(lines: Iterable[str]) -> Iterable[Entry]:
    """What `ostree ls --recursive --checksum` prints, as entries."""
    for line in lines:
        found = _LISTED.match(line)
        if found is None:
            raise failure(
                FailureClass.TREE,
                ErrorCode.INVALID_INPUT,
                f"a file name in the tree has a line break: {line[:200]!r}",
                hint="remove the file: add it to remove-files",
            )
        kind = _KINDS[found["kind"]]
        path, _, target = found["path"].partition(" -> ") if kind is Kind.SYMLINK else (found["path"], "", "")
        yield Entry(
            path.strip("/"),
            kind,
            int(found["mode"], 8),
            int(found["uid"]),
            int(found["gid"]),
            int(found["size"]),
            found["checksum"],
            target,
        )
