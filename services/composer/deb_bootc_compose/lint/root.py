"""The root filesystem that is checked, wherever it is."""

import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from deb_bootc_compose.commits.listing import FileKind
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.commit_tree import CommitTree
from deb_bootc_compose.outputs.oci.tree import image_path
from deborch_shared.errors import DeborchError, ErrorCode, bounded

MAX_READ_BYTES = 4 << 20
"""No file that a check reads is as large."""
_MAX_KEPT_BYTES = 64 << 20
_MAX_NODES = 2_000_000
_MAX_INDICES = 4
"""What an archive from outside may have in memory, and how deep indices of indices may lie."""


@dataclass(frozen=True, slots=True)
class Node:
    """One file, directory or link."""

    kind: FileKind
    size_bytes: int = 0
    target: str = ""


class Root(Protocol):
    """A root filesystem as a container has it: /etc is /etc."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Everything but the root itself, by its path without a slash before it."""

    def read(self, path: str) -> bytes:
        """Content of a file; at most `MAX_READ_BYTES`."""


def below(root: Root, directory: str) -> Iterator[tuple[str, Node]]:
    """Everything below `directory`."""
    prefix = f"{directory}/"
    return ((path, node) for path, node in root.nodes.items() if path.startswith(prefix))


class CommitRoot:
    """A commit, seen as the image that is made of it."""

    def __init__(self, tree: CommitTree) -> None:
        self._tree = tree
        self._files = {image_path(file.path): file for file in tree.files if file.path != "/"}
        self.nodes: Mapping[str, Node] = {
            path: Node(file.kind, file.size_bytes, file.target or "") for path, file in self._files.items()
        }

    def read(self, path: str) -> bytes:
        with self._tree.content(self._files[path]).open("rb") as content:
            return content.read(MAX_READ_BYTES)


class DirectoryRoot:
    """A directory of this machine. Links in it are never followed."""

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            raise _unreadable(directory, "is no directory")
        self._directory = directory
        device = directory.stat().st_dev
        self.nodes: Mapping[str, Node] = dict(_walk(os.fsencode(directory), b"", device))

    def read(self, path: str) -> bytes:
        descriptor = os.open(self._directory / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as content:
            return content.read(MAX_READ_BYTES)


def _target(path: bytes) -> str:
    return str(Path(os.fsdecode(path)).readlink())


def _walk(directory: bytes, prefix: bytes, device: int) -> Iterator[tuple[str, Node]]:
    """Other file systems are mounted there and are not of the root: as bootc does, they are not looked into."""
    with os.scandir(directory) as entries:
        for entry in entries:
            path = prefix + entry.name
            facts = entry.stat(follow_symlinks=False)
            name = path.decode("utf-8", "surrogateescape")
            if stat.S_ISDIR(facts.st_mode):
                yield name, Node(FileKind.DIRECTORY)
                if facts.st_dev == device:
                    yield from _walk(entry.path, path + b"/", device)
            elif stat.S_ISLNK(facts.st_mode):
                yield name, Node(FileKind.LINK, target=_target(entry.path))
            else:
                yield name, Node(FileKind.FILE, facts.st_size)


_DAMAGES = (
    *(tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError),
    *(LookupError, ValueError, TypeError, AttributeError, RecursionError),
)
"""What reading an archive raises that is not what it should be, in its bytes or in its documents."""


class ImageRoot:
    """An `.ociarchive` with one image, or the first of its index; its layers on top of each other."""

    def __init__(self, archive: Path) -> None:
        self._nodes: dict[str, Node] = {}
        self._contents: dict[str, bytes] = {}
        self._left_bytes = _MAX_KEPT_BYTES
        try:
            with tarfile.open(archive) as layout:
                for layer in _layers(layout):
                    self._apply(layout, layer)
        except _DAMAGES as error:
            why = bounded(f"{type(error).__name__}: {error}", 300)
            raise _unreadable(archive, f"is no OCI archive of an image: {why}") from error

    @property
    def nodes(self) -> Mapping[str, Node]:
        return self._nodes

    def read(self, path: str) -> bytes:
        return self._contents.get(path, b"")

    def _apply(self, layout: tarfile.TarFile, digest: str) -> None:
        blob = layout.extractfile(_blob(digest))
        with tarfile.open(fileobj=blob, mode="r|*") as layer:
            for member in layer:
                path = member.name.removeprefix("./").strip("/")
                if len(self._nodes) >= _MAX_NODES:
                    raise ValueError(f"it has more than {_MAX_NODES} files")
                if member.isdir():
                    self._nodes[path] = Node(FileKind.DIRECTORY)
                elif member.issym():
                    self._nodes[path] = Node(FileKind.LINK, target=member.linkname)
                else:
                    self._nodes[path] = Node(FileKind.FILE, member.size)
                    if member.isfile() and _is_read(path) and (content := layer.extractfile(member)):
                        self._keep(path, content.read(MAX_READ_BYTES))

    def _keep(self, path: str, content: bytes) -> None:
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            raise ValueError("its settings of bootc, sysusers and ostree are too large")
        self._contents[path] = content


def _is_read(path: str) -> bool:
    """Whether a check may ask for the content: an archive cannot be searched again."""
    return path in {"etc/passwd", "etc/group"} or path.startswith(
        ("usr/lib/bootc/", "usr/lib/sysusers.d/", "usr/lib/ostree/", "etc/ostree/", "usr/share/doc/bootc/baseimage/")
    )


def _layers(layout: tarfile.TarFile) -> list[str]:
    document = _json(layout, "index.json")
    for _ in range(_MAX_INDICES):
        if "manifests" not in document:
            return [_readable(layer) for layer in document["layers"]]
        document = _json(layout, _blob(document["manifests"][0]["digest"]))
    raise ValueError("its index leads to no image")


def _readable(layer: dict[str, str]) -> str:
    if str(layer.get("mediaType", "")).endswith("zstd"):
        raise ValueError("its layers are compressed by zstd, which is not read here: check the tree instead")
    return layer["digest"]


def _json(layout: tarfile.TarFile, name: str) -> dict[str, list[dict[str, str]]]:
    content = layout.extractfile(name)
    if content is None:
        raise ValueError(f"{name} is no file")
    value: dict[str, list[dict[str, str]]] = orjson.loads(content.read(MAX_READ_BYTES))
    return value


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def open_root(path: Path) -> Root:
    """The root in `path`: a directory or an OCI archive.

    Raises:
        DeborchError: INVALID_INPUT if it is neither.
    """
    return ImageRoot(path) if path.is_file() else DirectoryRoot(path)


def _unreadable(path: Path, why: str) -> DeborchError:
    return failure(
        FailureClass.LINT,
        ErrorCode.INVALID_INPUT,
        f"{path} {why}",
        hint="give the root directory of a tree, or an .ociarchive",
    )
