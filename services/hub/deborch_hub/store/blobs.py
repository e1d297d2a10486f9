"""Blobs: files on disk, named by their SHA-256, never changed once visible.

root/ab/cdef...   whole, verified, durable
root/parts/<sha>  an upload under way or broken off; locked by who writes to it, in whatever process
"""

import asyncio
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from deborch_hub.store.disk import disk_errors, in_thread, rename_durably, write_all
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256

MAX_BLOB_BYTES = 64 << 30
_WRITE_BYTES = 1 << 20
LOCK_WAIT_S = 2.0
"""How long an upload waits for another of the same blob: that of a client that has just gone away ends meanwhile."""
_LOCK_POLL_S = 0.05
_KEEP_PARTS_S = 7 * 86400.0


class BlobStore:
    """The blobs below `root`, which several processes may share."""

    def __init__(self, root: Path, *, max_blob_bytes: int = MAX_BLOB_BYTES, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self.root = root
        self._parts = root / "parts"
        self._max_blob_bytes = max_blob_bytes
        self._lock_wait_s = lock_wait_s

    def prepare(self) -> None:
        """Make the directories; drop uploads that nobody has gone on with for a week."""
        self._parts.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - _KEEP_PARTS_S
        for part in self._parts.iterdir():
            if part.stat().st_mtime < oldest:
                part.unlink(missing_ok=True)

    def path_of(self, sha256: Sha256) -> Path:
        """Where the blob is once it is whole."""
        return self.root / sha256[:2] / sha256[2:]

    def size_of(self, sha256: Sha256) -> int | None:
        """The size of a whole blob; None if it is not here."""
        try:
            return self.path_of(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def exists(self, sha256: Sha256) -> bool:
        return self.size_of(sha256) is not None

    def open(self, sha256: Sha256) -> BinaryIO:
        """A whole blob for reading.

        Raises:
            DeborchError: NOT_FOUND if it is not here.
        """
        try:
            return self.path_of(sha256).open("rb")
        except FileNotFoundError:
            raise DeborchError(
                ErrorCode.NOT_FOUND, f"there is no blob {sha256}", hint="upload it first, or upload the rest of it"
            ) from None

    def received(self, sha256: Sha256) -> int:
        """How many bytes of an unfinished upload are here."""
        try:
            return (self._parts / sha256).stat().st_size
        except FileNotFoundError:
            return 0

    async def receive(self, sha256: Sha256, chunks: AsyncIterator[bytes], *, offset: int | None, length: int) -> int:
        """Take `chunks` as the bytes of the blob from `offset` on (None: from the start, dropping what is there).

        Gives the bytes that are here now: `length` if the blob is whole, less if the chunks ended early. If `chunks`
        raises, what has come is kept for a later call to go on with.

        Raises:
            DeborchError: CONFLICT if `offset` is not where the upload stands (its `offset` field says where) or another
                upload goes on; TOO_LARGE if more comes than `length`; DIGEST_MISMATCH; DISK_FULL. The last three
                drop what was uploaded.
        """
        if length > self._max_blob_bytes:
            raise DeborchError(ErrorCode.TOO_LARGE, f"a blob may have {self._max_blob_bytes} bytes, not {length}")
        if (present := self.size_of(sha256)) is not None:
            return _already_whole(sha256, present, length)
        async with self._locked_part(sha256) as descriptor:
            if descriptor is None:
                return _already_whole(sha256, self.size_of(sha256) or 0, length)
            upload = _Upload(sha256, self._parts / sha256, descriptor, length)
            await in_thread(upload.begin, offset)
            await upload.take(chunks)
            if upload.size < length:
                return upload.size
            await in_thread(upload.finish, self.path_of(sha256))
            return length

    async def add_file(self, path: Path) -> tuple[Sha256, int]:
        """Copy a file of the hub's own into the store; its digest and size."""
        return await in_thread(self._add_file, path)

    def _add_file(self, path: Path) -> tuple[Sha256, int]:
        copy = self._parts / f"own.{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            with disk_errors(self.root), path.open("rb") as source, copy.open("wb") as target:
                while chunk := source.read(_WRITE_BYTES):
                    digest.update(chunk)
                    size += target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            sha256 = Sha256(digest.hexdigest())
            if not self.exists(sha256):
                rename_durably(copy, self.path_of(sha256))
            return sha256, size
        finally:
            copy.unlink(missing_ok=True)

    @asynccontextmanager
    async def _locked_part(self, sha256: Sha256) -> AsyncIterator[int | None]:
        """The part, open and locked against every process; None if the blob became whole meanwhile."""
        deadline = time.monotonic() + self._lock_wait_s
        while True:
            descriptor = self._try_lock(sha256)
            if descriptor is not None:
                break
            if time.monotonic() > deadline:
                raise DeborchError(
                    ErrorCode.CONFLICT,
                    f"another upload of blob {sha256} is under way",
                    hint="wait until it is done or has broken off, then go on from where it stands",
                    offset=self.received(sha256),
                )
            await asyncio.sleep(_LOCK_POLL_S)
        try:
            if self.exists(sha256):
                (self._parts / sha256).unlink(missing_ok=True)
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def _try_lock(self, sha256: Sha256) -> int | None:
        path = self._parts / sha256
        with disk_errors(self.root):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass  # held by another, or finished or dropped by another between opening and locking
        os.close(descriptor)
        return None


class _Upload:
    """One upload that goes on: writes and hashes in step, so that a whole blob is never read again."""

    def __init__(self, sha256: Sha256, path: Path, descriptor: int, length: int) -> None:
        self.size = 0
        self._sha256 = sha256
        self._path = path
        self._descriptor = descriptor
        self._length = length
        self._digest = hashlib.sha256()

    def begin(self, offset: int | None) -> None:
        """Stand at `offset`, with all before it hashed."""
        if offset is None:
            os.ftruncate(self._descriptor, 0)
            return
        here = os.fstat(self._descriptor).st_size
        if offset != here:
            if not here:
                self._path.unlink(missing_ok=True)
            raise DeborchError(
                ErrorCode.CONFLICT,
                f"the upload of blob {self._sha256} stands at {here}, not at {offset}",
                hint="go on from the offset given here",
                offset=here,
            )
        while self.size < offset and (chunk := os.pread(self._descriptor, _WRITE_BYTES, self.size)):
            self._digest.update(chunk)
            self.size += len(chunk)

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        waiting = bytearray()
        try:
            async for chunk in chunks:
                waiting += chunk
                if self.size + len(waiting) > self._length:
                    waiting.clear()
                    raise self._drop(
                        DeborchError(
                            ErrorCode.TOO_LARGE, f"more than the {self._length} bytes came that were announced"
                        )
                    )
                if len(waiting) >= _WRITE_BYTES:
                    full, waiting = waiting, bytearray()
                    await in_thread(self._write, full)
        finally:
            if waiting:
                await in_thread(self._write, waiting)

    def finish(self, destination: Path) -> None:
        """Make the blob visible, durably, if it is what its name says."""
        if self._digest.hexdigest() != self._sha256:
            raise self._drop(
                DeborchError(
                    ErrorCode.DIGEST_MISMATCH,
                    f"what was uploaded as {self._sha256} has the digest {self._digest.hexdigest()}",
                    hint="the file changed or broke on its way: compute its SHA-256 again and upload it again",
                )
            )
        try:
            with disk_errors(destination.parent.parent):
                os.fsync(self._descriptor)
                rename_durably(self._path, destination)
        except DeborchError as error:
            raise self._drop(error) from error

    def _write(self, data: bytearray) -> None:
        try:
            with disk_errors(self._path.parent.parent):
                write_all(self._descriptor, data, self.size)
        except DeborchError as error:
            raise self._drop(error) from error
        self._digest.update(data)
        self.size += len(data)

    def _drop(self, error: DeborchError) -> DeborchError:
        self._path.unlink(missing_ok=True)
        return error


def _already_whole(sha256: Sha256, size: int, length: int) -> int:
    if size != length:
        raise DeborchError(
            ErrorCode.DIGEST_MISMATCH,
            f"blob {sha256} has {size} bytes, not {length}",
            hint="the digest or the length that was announced is wrong",
        )
    return length
