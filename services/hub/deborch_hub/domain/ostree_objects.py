"""OSTree objects as bytes: what makes one the object that its name says, and which others it needs.

Formats are those of libostree's ostree-core.h; a GVariant's framing offsets are little-endian numbers at its end.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from deborch_shared.errors import DeborchError, ErrorCode

OBJECT_NAME = re.compile(r"(?P<checksum>[0-9a-f]{64})\.(?P<kind>commit|commitmeta|dirtree|dirmeta|filez)")
MAX_METADATA_BYTES = 128 << 20
_READ_BYTES = 1 << 20
_CHECKSUM_BYTES = 32
_S_IFMT, _S_IFREG = 0o170000, 0o100000


def verify_object(name: str, file: IO[bytes]) -> None:
    """See that `file`, an object of an archive-mode repository, has the content that `name` stands for.

    Raises:
        DeborchError: DIGEST_MISMATCH. A `.commitmeta` is signatures, which clients verify: nothing is checked.
    """
    checksum, _, kind = name.partition(".")
    if kind == "commitmeta":
        return
    try:
        found = _content_checksum(file) if kind == "filez" else _plain_checksum(file)
    except (ValueError, struct.error, zlib.error, IndexError) as error:
        raise _broken(name, str(error)) from None
    if found != checksum:
        raise _broken(name, f"its checksum is {found}")


def root_of_commit(commit: bytes) -> tuple[str, str]:
    """The names of a commit's root dirtree and dirmeta: `(a{sv}aya(say)sstayay)`."""
    width = _offset_width(len(commit))
    ends = [_offset(commit, width, number) for number in range(1, 7)]
    contents = _slice(commit, (ends[4] + 7) // 8 * 8 + 8, ends[5])
    metadata = _slice(commit, ends[5], len(commit) - 6 * width)
    return f"{_hex(contents)}.dirtree", f"{_hex(metadata)}.dirmeta"


def names_in_dirtree(dirtree: bytes) -> Iterator[str]:
    """The names of the objects that a directory needs: `(a(say)a(sayay))`."""
    if not dirtree:
        return
    width = _offset_width(len(dirtree))
    files_end = _offset(dirtree, width, 1)
    for entry in _entries(_slice(dirtree, 0, files_end)):
        inner = _offset_width(len(entry))
        yield f"{_hex(_slice(entry, _offset(entry, inner, 1), len(entry) - inner))}.filez"
    for entry in _entries(_slice(dirtree, files_end, len(dirtree) - width)):
        inner = _offset_width(len(entry))
        tree_end = _offset(entry, inner, 2)
        yield f"{_hex(_slice(entry, _offset(entry, inner, 1), tree_end))}.dirtree"
        yield f"{_hex(_slice(entry, tree_end, len(entry) - 2 * inner))}.dirmeta"


def _plain_checksum(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _content_checksum(file: IO[bytes]) -> str:
    """Over the header of a bare object and the content; a `.filez` has another header and the content deflated."""
    (size,) = struct.unpack(">I4x", file.read(8))
    if size > MAX_METADATA_BYTES:
        raise ValueError("its header is too long")
    header = file.read(size)
    if len(header) != size:
        raise ValueError("its header is cut off")
    bare = _bare_header(header)
    digest = hashlib.sha256(struct.pack(">I4x", len(bare)) + bare)
    (mode,) = struct.unpack_from(">I", header, 16)
    length = struct.unpack_from(">Q", header)[0] if mode & _S_IFMT == _S_IFREG else 0
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    left = length
    while chunk := file.read(_READ_BYTES):
        while chunk:
            content = inflate.decompress(chunk, _READ_BYTES)
            left -= len(content)
            if left < 0:
                raise ValueError("it is longer than its header says")
            digest.update(content)
            chunk = inflate.unconsumed_tail
    if left:
        raise ValueError("it is shorter than its header says")
    return digest.hexdigest()


def _bare_header(header: bytes) -> bytes:
    """`(tuuuusa(ayay))` without its size: `(uuuusa(ayay))`, whose one framing offset counts from its own start."""
    width = _offset_width(len(header))
    body = header[8:-width]
    offset = _offset(header, width, 1) - 8
    for narrow, limit in ((1, 0xFF), (2, 0xFFFF), (4, 0xFFFF_FFFF)):
        if len(body) + narrow <= limit:
            return body + offset.to_bytes(narrow, "little")
    raise ValueError("its header is too long")


def _entries(array: bytes) -> Iterator[bytes]:
    if not array:
        return
    width = _offset_width(len(array))
    table = int.from_bytes(array[-width:], "little")
    start = 0
    for place in range(table, len(array), width):
        end = int.from_bytes(array[place : place + width], "little")
        yield _slice(array, start, end)
        start = end


def _offset_width(size: int) -> int:
    return 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4


def _offset(container: bytes, width: int, number: int) -> int:
    """The `number`th framing offset: they stand at the end, the first one last."""
    end = len(container) - (number - 1) * width
    return int.from_bytes(_slice(container, end - width, end), "little")


def _slice(data: bytes, start: int, end: int) -> bytes:
    if not 0 <= start <= end <= len(data):
        raise ValueError("an offset leads out of it")
    return data[start:end]


def _hex(checksum: bytes) -> str:
    if len(checksum) != _CHECKSUM_BYTES:
        raise ValueError("a checksum has another length than 32 bytes")
    return checksum.hex()


def _broken(name: str, why: str) -> DeborchError:
    return DeborchError(
        ErrorCode.DIGEST_MISMATCH,
        f"the object {name} is not what its name says: {why}",
        hint="it broke on its way or in the composer's repository: `ostree fsck` there, then upload it again",
    )
