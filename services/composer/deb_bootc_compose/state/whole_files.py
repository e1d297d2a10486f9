"""Files and directories that are whole or absent after any crash."""

import os
import secrets
from pathlib import Path

import orjson

from deb_bootc_compose.digests import JsonObject

_PARTIAL = ".partial"


def write_whole(path: Path, content: bytes) -> None:
    """Write `path` by temporary file, fsync and rename; its directory is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: JsonObject) -> None:
    """`value` for people and programs, whole."""
    write_whole(
        path, orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


def read_json(path: Path) -> JsonObject | None:
    """What `write_json` wrote; None if it is not there or damaged."""
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def sync(path: Path) -> None:
    """Make the content of the file `path`, or the names in the directory `path`, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_whole(source: Path, target: Path) -> None:
    """Let `target` be the file `source`, replacing what is there: a hard link, or a copy on another file system."""
    _place(source, target, link=True)


def copy_whole(source: Path, target: Path) -> None:
    """Let `target` be a copy of the file `source`, replacing what is there."""
    _place(source, target, link=False)


def _place(source: Path, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        if not (link and _linked(source, partial)):
            copy_sparse(source, partial)
        partial.replace(target)  # does nothing if both are the same file
    finally:
        partial.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def copy_sparse(source: Path, target: Path) -> None:
    """Copy the content of `source` to the new file `target`, holes as holes."""
    with source.open("rb") as reads, target.open("xb") as writes:
        size = os.fstat(reads.fileno()).st_size
        os.truncate(writes.fileno(), size)
        position = 0
        while position < size:
            try:
                begin = os.lseek(reads.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(reads.fileno(), begin, os.SEEK_HOLE)
            while begin < end:
                copied = os.copy_file_range(reads.fileno(), writes.fileno(), min(end - begin, 1 << 30), begin, begin)
                if copied == 0:
                    return
                begin += copied
            position = end
