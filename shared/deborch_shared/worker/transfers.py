"""Files between this host and the hub's blob store: verified, resumed where they broke off, tried until done."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from prometheus_client import Counter

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.events.model import File
from deborch_shared.worker.backoff import persist
from deborch_shared.worker.blobs import Blobs
from deborch_shared.worker.durable_files import as_disk_full

_log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")
_downloaded = Counter("deborch_worker_downloaded_bytes_total", "Bytes of files taken from the hub")
_uploaded = Counter("deborch_worker_uploaded_bytes_total", "Bytes of results sent to the hub")
_AT_ONCE = 4
_UPLOAD_CHUNK_BYTES = 1024 * 1024
_DIGEST_RETRIES = 3
_RACED = frozenset({ErrorCode.CONFLICT})
"""Another upload of the same bytes has moved the offset: ask again where it is."""


class NamedFile(Protocol):
    """A file to fetch: `UploadedFile` of the contract and `File` of the events both are."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...


class Transfers:
    """Uploads and downloads, at most four at once."""

    def __init__(self, hub: Blobs, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def download_all(self, files: Sequence[NamedFile], directory: Path) -> list[Path]:
        """All `files` in `directory` under their names.

        Raises:
            DeborchError: UNSAFE_PATH for a name with a directory in it, DIGEST_MISMATCH, NOT_FOUND, DISK_FULL.
        """
        paths = [directory / plain_name(file.name) for file in files]
        await _together([self.download(file, path) for file, path in zip(files, paths, strict=True)])
        return paths

    async def upload_all(self, paths: Sequence[Path]) -> tuple[File, ...]:
        """Bring all of `paths` into the blob store, those that it has already at no cost; how they are called there."""
        return tuple(await _together([self.upload(path) for path in paths]))

    async def download(self, file: NamedFile, path: Path) -> None:
        """`file` at `path`. Raises as `download_all`."""
        digest = hashlib.sha256()
        received = 0

        async def resume(sink: BinaryIO) -> None:
            nonlocal received
            async with aclosing(self._hub.read_blob(file.sha256, received)) as chunks:
                async for chunk in chunks:
                    received += len(chunk)
                    if received > file.size_bytes:
                        raise _wrong(file, f"has more than {file.size_bytes} bytes")
                    digest.update(chunk)
                    sink.write(chunk)
                    _downloaded.inc(len(chunk))

        async with self._slots:
            try:
                with path.open("wb") as sink:
                    if file.size_bytes:
                        await persist(
                            lambda: resume(sink), clock=self._clock, what=f"fetching {file.name}", patient=True
                        )
            except OSError as error:
                raise as_disk_full(error, path) from error
        if received != file.size_bytes or digest.hexdigest() != file.sha256:
            raise _wrong(file, f"came as {received} bytes with SHA-256 {digest.hexdigest()}")

    async def upload(self, path: Path) -> File:
        """As `upload_all`, one file."""
        async with self._slots:
            file = await asyncio.to_thread(_described, path)
            for left in reversed(range(_DIGEST_RETRIES)):
                try:
                    await persist(
                        lambda: self._send(file, path),
                        clock=self._clock,
                        what=f"uploading {path.name}",
                        also=_RACED,
                        patient=True,
                    )
                    return file
                except DeborchError as error:
                    if error.code is not ErrorCode.DIGEST_MISMATCH or not left:
                        raise
                    _log.warning("%s arrived damaged at the hub, sending it again", path.name)
        raise AssertionError("the last try returns or raises")

    async def _send(self, file: File, path: Path) -> None:
        offset = await self._hub.bytes_of_blob(file.sha256)
        if offset is None:
            return
        await self._hub.send_blob(file.sha256, _chunks(path, offset), offset=offset, size_bytes=file.size_bytes)
        _uploaded.inc(file.size_bytes - offset)


def plain_name(name: str) -> str:
    """`name` if it is that of a file in one directory.

    Raises:
        DeborchError: UNSAFE_PATH.
    """
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise DeborchError(
            ErrorCode.UNSAFE_PATH,
            f"{bounded(name, 100)!r} is not a plain file name",
            hint="a source package and its files lie in one directory: rename the file and its entry in the .dsc",
        )
    return name


def _described(path: Path) -> File:
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        return File(name=path.name, sha256=sha256, size_bytes=content.tell())


async def _together(works: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """The results of all `works`; the first failure cancels the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _chunks(path: Path, offset: int) -> AsyncIterator[bytes]:
    with path.open("rb") as content:
        content.seek(offset)
        while chunk := await asyncio.to_thread(content.read, _UPLOAD_CHUNK_BYTES):
            yield chunk


def _wrong(file: NamedFile, how: str) -> DeborchError:
    return DeborchError(
        ErrorCode.DIGEST_MISMATCH,
        f"{file.name} {how}; {file.size_bytes} bytes with SHA-256 {file.sha256} were announced",
        hint="the hub's blob store or the way to it is damaged; the task is tried again",
    )
