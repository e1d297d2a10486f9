"""The objects of the OSTree remote: files named by their content, verified before they are visible, never changed.

root/objects/ab/cdef....filez   as in an archive-mode repository
root/incoming/...               an upload under way

Refs are rows of the database, no files here: what clients read and what the hub knows cannot disagree.
"""

import os
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

from deborch_hub.domain.ostree_objects import OBJECT_NAME, names_in_dirtree, root_of_commit, verify_object
from deborch_hub.store.disk import disk_errors, in_thread
from deborch_shared.errors import DeborchError, ErrorCode, bounded

MAX_UPLOAD_BYTES = 8 << 30
_COPY_BYTES = 1 << 20
_MOST_STAGED = 5_000


class OstreeStore:
    """The objects below `root`, which several processes may share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._whole: set[str] = set()

    def prepare(self) -> None:
        (self.root / "objects").mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(exist_ok=True)

    def path_of(self, name: str) -> Path:
        """Where the object `CHECKSUM.TYPE` is."""
        return self.root / "objects" / name[:2] / name[2:]

    async def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these objects are not here."""
        return await in_thread(lambda: [name for name in names if not self.path_of(name).exists()])

    async def first_missing(self, commit: str) -> str | None:
        """An object that `commit` needs and that is not here; None if it is whole."""
        if commit in self._whole:
            return None
        found = await in_thread(self._first_missing, commit)
        if found is None:
            self._whole.add(commit)
        return found

    def _first_missing(self, commit: str) -> str | None:
        path = self.path_of(f"{commit}.commit")
        if not path.exists():
            return f"{commit}.commit"
        seen: set[str] = set()
        waiting = list(root_of_commit(path.read_bytes()))
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            path = self.path_of(name)
            if not path.exists():
                return name
            if name.endswith(".dirtree"):
                waiting += names_in_dirtree(path.read_bytes())
        return None

    async def receive(self, chunks: AsyncIterator[bytes]) -> tuple[int, int]:
        """Take a tar of objects, each member called `CHECKSUM.TYPE`: how many were new, how many known.

        Of an upload with anything wrong in it, objects before that may be kept: each is what its name says.

        Raises:
            DeborchError: INVALID_INPUT for what is no such tar, DIGEST_MISMATCH for an object that its name belies,
                TOO_LARGE, DISK_FULL.
        """
        path = self._incoming / secrets.token_hex(8)
        try:
            with disk_errors(self.root), path.open("wb") as file:
                size = 0
                async for chunk in chunks:
                    size += len(chunk)
                    if size > MAX_UPLOAD_BYTES:
                        raise DeborchError(
                            ErrorCode.TOO_LARGE,
                            f"one upload of objects may have {MAX_UPLOAD_BYTES} bytes",
                            hint="send them in several",
                        )
                    await in_thread(file.write, chunk)
            return await in_thread(self._unpack, path)
        finally:
            path.unlink(missing_ok=True)

    def _unpack(self, path: Path) -> tuple[int, int]:
        stored = known = 0
        staged: dict[str, Path] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    if not member.isreg() or OBJECT_NAME.fullmatch(member.name) is None:
                        raise _no_objects(f"it holds {bounded(member.name, 100)!r}")
                    if member.name in staged or self._is_known(member.name):
                        known += 1
                        continue
                    content = archive.extractfile(member)
                    if content is None:
                        raise _no_objects("a member has no content")
                    with closing(content):
                        staged[member.name] = self._incoming / secrets.token_hex(8)
                        self._stage(member.name, content, staged[member.name])
                    stored += 1
                    if len(staged) >= _MOST_STAGED:
                        self._publish(staged)
            self._publish(staged)
        except tarfile.TarError as error:
            raise _no_objects(str(error)) from None
        finally:
            for copy in staged.values():
                copy.unlink(missing_ok=True)
        return stored, known

    def _is_known(self, name: str) -> bool:
        return self.path_of(name).exists() and not name.endswith(".commitmeta")

    def _stage(self, name: str, content: IO[bytes], copy: Path) -> None:
        with disk_errors(self.root), copy.open("w+b") as file:
            while chunk := content.read(_COPY_BYTES):
                file.write(chunk)
            file.seek(0)
            verify_object(name, file)

    def _publish(self, staged: dict[str, Path]) -> None:
        """Make verified objects visible: durable before they have their names, and these durable before this ends.

        A commit has thousands of small objects: one flush of everything costs less than one for each.
        """
        if not staged:
            return
        with disk_errors(self.root):
            os.sync()
            for name, copy in staged.items():
                destination = self.path_of(name)
                destination.parent.mkdir(exist_ok=True)
                copy.rename(destination)
            os.sync()
        staged.clear()


def _no_objects(why: str) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"the upload is no tar of OSTree objects: {why}",
        hint="send an uncompressed tar whose members are regular files called CHECKSUM.TYPE",
    )
