"""A file as a response: streamed, with ranges and validators (RFC 9110, sections 13 and 14)."""

import errno
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from deborch_hub.store.disk import in_thread
from deborch_shared.errors import DeborchError, ErrorCode

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
RANGE_HEADERS = {
    "Range": "One range of bytes, such as `bytes=100-`",
    "If-Range": "The ETag or date for which the range is meant; the whole comes if it has changed",
}
_CHUNK_BYTES = 256 << 10
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


async def send_file(
    request: web.Request,
    path: Path,
    *,
    content_type: str,
    cache_control: str,
    etag: str | None = None,
    headers: Mapping[str, str] | None = None,
    dated: bool = True,
) -> web.StreamResponse:
    """The file at `path`, or the range of it that was asked for, or 304.

    `etag` is a strong validator without quotes; None makes one of size and time. `dated` is off for files that grow.

    Raises:
        DeborchError: NOT_FOUND if there is no such file; RANGE_NOT_SATISFIABLE.
    """
    file = await in_thread(open_regular, path)
    with file:
        status = os.fstat(file.fileno())
        tag = f'"{etag or f"{status.st_mtime_ns:x}-{status.st_size:x}"}"'
        response = web.StreamResponse(headers={"ETag": tag, "Accept-Ranges": "bytes", **(headers or {})})
        response.headers["Cache-Control"] = cache_control
        response.headers["Content-Type"] = content_type
        if dated:
            response.last_modified = _settled_date(status.st_mtime)
        if _is_unchanged(request, tag, status.st_mtime if dated else None):
            response.set_status(304)
            await response.prepare(request)
            return response
        start, stop = 0, status.st_size
        asked = _asked_range(request, tag, status)
        if asked is not None:
            start, stop = asked
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{status.st_size}"
        response.content_length = stop - start
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(response, file, start, stop)
    return response


def open_regular(path: Path) -> BinaryIO:
    """A regular file for reading; NOT_FOUND for all else."""
    try:
        if path.is_file():
            return path.open("rb")
    except OSError as error:
        if error.errno not in _NO_SUCH_FILE:
            raise
    raise DeborchError(ErrorCode.NOT_FOUND, "there is no such file")


async def _send(response: web.StreamResponse, file: BinaryIO, start: int, stop: int) -> None:
    while start < stop:
        chunk = await in_thread(os.pread, file.fileno(), min(_CHUNK_BYTES, stop - start), start)
        if not chunk:
            raise DeborchError(ErrorCode.INTERNAL, "a file became shorter while it was sent")
        await response.write(chunk)
        start += len(chunk)


def _settled_date(modified: float) -> float:
    """A date after which the file has not changed.

    Within the second of a change another change could follow that the date would not tell from it, so that the second
    before is given until this one is over (RFC 9110, section 8.8.2.2).
    """
    return float(min(int(modified), int(time.time()) - 1))


def _is_unchanged(request: web.Request, tag: str, modified: float | None) -> bool:
    known = request.headers.get("If-None-Match")
    if known is not None:
        return known.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in known.split(",")}
    since = request.if_modified_since
    return since is not None and modified is not None and int(modified) <= since.timestamp()


def _asked_range(request: web.Request, tag: str, status: os.stat_result) -> tuple[int, int] | None:
    """Start and end (exclusive) of the one range asked for; None for the whole file."""
    asked = request.headers.get("Range")
    if asked is None or not _range_holds(request.headers.get("If-Range"), tag, status.st_mtime):
        return None
    matched = _RANGE.fullmatch(asked.replace(" ", ""))
    if matched is None or matched[1] == matched[2] == "":
        return None  # several ranges, or another unit: the whole may be sent (RFC 9110, section 14.2)
    size = status.st_size
    if matched[1] == "":
        start, stop = max(0, size - int(matched[2])), size
    else:
        start, stop = int(matched[1]), min(size, int(matched[2]) + 1 if matched[2] else size)
        if matched[2] and int(matched[2]) < start:
            return None
    if start >= size or start >= stop:
        raise DeborchError(
            ErrorCode.RANGE_NOT_SATISFIABLE,
            f"the range {asked} is outside of the {size} bytes that there are",
            hint="ask for a range within size_bytes",
            size_bytes=size,
        )
    return start, stop


def _range_holds(condition: str | None, tag: str, modified: float) -> bool:
    if condition is None or condition.strip() == tag:
        return True
    try:
        date = parsedate_to_datetime(condition)
    except ValueError:
        return False
    return date.replace(tzinfo=date.tzinfo or UTC) == datetime.fromtimestamp(_settled_date(modified), UTC)
