"""The .debs that were downloaded, shared by all builds: one file for each SHA-256, so nothing is fetched twice."""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from deb_mock.layers.store import File
from deborch_shared.sandbox import record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~%_-]*\.(?:deb|udeb)\Z")
_DIGEST = re.compile(r"SHA256:([0-9a-f]{64})\Z")
_SET = ".set-"
_PIECE_BYTES = 1 << 20


class DebCache:
    """Packages by digest. Whoever takes one out checks it again, so a damaged file is only a file fetched anew."""

    def __init__(self, directory: Path, records: Path) -> None:
        self._directory = directory
        self._records = records

    @asynccontextmanager
    async def offered(self, files: Iterable[File]) -> AsyncIterator[Path]:
        """A directory with those of `files` that are here, under the names that apt knows; gone at the end.

        They are hard links, so that cleaning the cache meanwhile does no harm.
        """
        name = f"debs-{secrets.token_hex(6)}"
        target = self._directory / f"{_SET}{name}"
        async with record.owned(self._records, name, [target]):
            target.mkdir(mode=0o755, parents=True)
            await asyncio.to_thread(self._link_all, tuple(files), target)
            yield target

    async def take_in(self, files: Iterable[File], archives: Path) -> int:
        """Copy those of `files` that apt has fetched into `archives`; how many are new here."""
        return await asyncio.to_thread(self._copy_all, tuple(files), archives)

    def all(self) -> list[Path]:
        """Every file."""
        return sorted(self._directory.glob("*/*.deb"))

    def _link_all(self, files: tuple[File, ...], target: Path) -> None:
        for file in files:
            path = self._path(file)
            if path is None or not path.is_file():
                continue
            with path.open("rb") as content:
                good = _sha256(content) == path.stem
            if good:
                os.utime(path)
                os.link(path, target / file[0])
            else:
                path.unlink(missing_ok=True)

    def _copy_all(self, files: tuple[File, ...], archives: Path) -> int:
        taken = 0
        for file in files:
            path = self._path(file)
            if path is None or path.exists():
                continue
            try:
                source = os.open(archives / file[0], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
            with os.fdopen(source, "rb") as content:
                taken += self._store(content, path)
        return taken

    def _store(self, content: BinaryIO, path: Path) -> bool:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as target:
                if _sha256(content, target) != path.stem:
                    return False
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _path(self, file: File) -> Path | None:
        """Where a file is kept; None if apt gave it no SHA-256 or a name that is none."""
        match = _DIGEST.match(file[2])
        if match is None or _NAME.match(file[0]) is None:
            return None
        return self._directory / match[1][:2] / f"{match[1]}.deb"


def _sha256(content: BinaryIO, target: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
        if target is not None:
            target.write(piece)
    return digest.hexdigest()
