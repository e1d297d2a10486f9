"""One layer: a deterministic tar, compressed while it is written.

Times are 0, as OSTree has them; owners are numbers; entries are in the order of their paths, each directory before
what it holds.
"""

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from zlib_ng import zlib_ng

from deb_bootc_compose.commits.listing import CommittedFile, FileKind
from deb_bootc_compose.digests import digest_of_file
from deb_bootc_compose.outputs.oci.tree import Tree, image_path

FORMAT = 1
"""Changes when the same tree would give other bytes."""
COMPRESSOR = {"gzip": f"zlib-ng {zlib_ng.ZLIBNG_VERSION}", "zstd": "zstd", "none": ""}
"""What decides the compressed bytes beside the level."""
Compression = Literal["gzip", "zstd", "none"]
_CHUNK_BYTES = 1 << 20
_LINKED_FROM_BYTES = 4096
"""Files as large as this that OSTree keeps once are hard links in a layer too."""
_CAPABILITY = "security.capability"
_GZIP_WINDOW = 31
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Written:
    """A layer that was written. Digests are SHA-256 as hexadecimal."""

    digest: str
    size_bytes: int
    diff_digest: str
    """Of the tar before it was compressed."""
    diff_bytes: int


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes) -> object: ...


class _Hashing:
    """Hashes and counts what passes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size_bytes += len(data)
        self._sink.write(data)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class _Gzip:
    """A gzip member with no name and no time."""

    def __init__(self, sink: Sink, level: int) -> None:
        self._sink = sink
        self._deflate = zlib_ng.compressobj(min(level, 9), zlib_ng.DEFLATED, _GZIP_WINDOW)

    def write(self, data: bytes) -> None:
        self._sink.write(self._deflate.compress(data))

    def finish(self) -> None:
        self._sink.write(self._deflate.flush())


def write_layer(
    tree: Tree, entries: Iterable[CommittedFile], path: Path, *, compression: Compression, level: int
) -> Written:
    """Write `entries` to `path`, which is not there yet, and say what it is. Blocks: call it in a thread.

    Raises:
        OSError: the disk is full, or the tree cannot be read.
    """
    with _compressing(path, compression, level) as sink:
        hashing = _Hashing(sink)
        _write_tar(tree, entries, hashing)
    return Written(digest_of_file(path), path.stat().st_size, hashing.digest, hashing.size_bytes)


@contextmanager
def _compressing(path: Path, compression: Compression, level: int) -> Iterator[Sink]:
    with path.open("xb") as file:
        if compression == "none":
            yield file
        elif compression == "gzip":
            gzip = _Gzip(file, level)
            yield gzip
            gzip.finish()
        else:
            # one thread: the same bytes whatever the number of processors
            argv = ["zstd", "--quiet", "--no-check", "--single-thread", f"-{level}", "--stdout"]
            with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=file) as zstd:
                if zstd.stdin is None:
                    raise OSError("zstd has no input")
                yield zstd.stdin
                zstd.stdin.close()
                if zstd.wait() != 0:
                    raise OSError(f"zstd failed with exit code {zstd.returncode}")


def _write_tar(tree: Tree, entries: Iterable[CommittedFile], sink: Sink) -> None:
    first: dict[str, str] = {}
    for name, entry in sorted((image_path(entry.path), entry) for entry in entries):
        if name:
            _write_entry(tree, name, entry, first, sink)
    sink.write(bytes(2 * _BLOCK))


def _write_entry(tree: Tree, name: str, entry: CommittedFile, first: dict[str, str], sink: Sink) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    if entry.kind is FileKind.DIRECTORY:
        info.type = tarfile.DIRTYPE
    elif entry.kind is FileKind.LINK:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target or ""
    elif entry.size_bytes >= _LINKED_FROM_BYTES and entry.checksum in first:
        info.type, info.linkname = tarfile.LNKTYPE, first[entry.checksum]
    else:
        first[entry.checksum] = name
        _write_file(tree.content(entry), info, entry, sink)
        return
    sink.write(_header(info))


def _write_file(path: Path, info: tarfile.TarInfo, entry: CommittedFile, sink: Sink) -> None:
    info.size = entry.size_bytes
    info.pax_headers = _capability(path)
    sink.write(_header(info))
    left = entry.size_bytes
    with path.open("rb") as content:
        while left and (chunk := content.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            sink.write(chunk)
    if left:
        raise OSError(f"{info.name} is {left} bytes shorter than the commit says")
    sink.write(bytes(-entry.size_bytes % _BLOCK))


def _capability(path: Path) -> Mapping[str, str]:
    """File capabilities are kept: ping works without set-id by them."""
    try:
        value = os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return {}
    return {f"SCHILY.xattr.{_CAPABILITY}": value.decode("utf-8", "surrogateescape")}


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
