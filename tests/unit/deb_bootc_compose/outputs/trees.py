"""Trees for tests: a few files with owners, as a commit has them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from deb_bootc_compose.commits.listing import CommittedFile, FileKind
from deb_bootc_compose.outputs.oci.owners import DATABASE


class WrittenTree:
    """A tree in memory, whose contents lie in a directory by their checksums."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._entries: dict[str, CommittedFile] = {"/": CommittedFile("/", FileKind.DIRECTORY, 0o755, 0, 0, 0, "root")}

    @property
    def files(self) -> Sequence[CommittedFile]:
        return tuple(self._entries.values())

    def content(self, entry: CommittedFile) -> Path:
        return self._directory / entry.checksum

    def add(self, path: str, content: bytes = b"", *, mode: int = 0o644, uid: int = 0) -> None:
        path = f"/{path.strip('/')}"
        self._parents(path)
        checksum = hashlib.sha256(content + bytes([uid % 256]) + mode.to_bytes(2, "big")).hexdigest()
        (self._directory / checksum).write_bytes(content)
        self._entries[path] = CommittedFile(path, FileKind.FILE, mode, uid, 0, len(content), checksum)

    def link(self, path: str, target: str) -> None:
        path = f"/{path.strip('/')}"
        self._parents(path)
        checksum = hashlib.sha256(target.encode()).hexdigest()
        self._entries[path] = CommittedFile(path, FileKind.LINK, 0o777, 0, 0, 0, checksum, target)

    def _parents(self, path: str) -> None:
        for number in range(2, path.count("/") + 1):
            parent = "/".join(path.split("/")[:number])
            self._entries.setdefault(parent, CommittedFile(parent, FileKind.DIRECTORY, 0o755, 0, 0, 0, "directory"))


def tree_of(directory: Path, packages: Mapping[str, Mapping[str, bytes]]) -> WrittenTree:
    """A tree in which dpkg knows `packages`: name to path (as dpkg has it) and content."""
    tree = WrittenTree(directory)
    for name, files in packages.items():
        tree.add(f"{DATABASE}/info/{name}.list", "".join(f"/{path}\n" for path in ("etc", *files)).encode())
        for path, content in files.items():
            tree.add(path.replace("etc/", "usr/etc/", 1) if path.startswith("etc/") else path, content)
    tree.add(f"{DATABASE}/status", "".join(f"Package: {name}\n" for name in packages).encode())
    return tree
