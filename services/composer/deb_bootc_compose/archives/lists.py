"""apt's lists of a set of archives, kept by the digests of their InRelease files.

A set of lists is made once and never changed, so that readers need no lock; when no InRelease file has changed, apt is
not asked to update. What apt has verified once is in a directory that nobody but us writes to.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.archives.configuration import PrivateApt, sources_text
from deb_bootc_compose.archives.faults import unreadable
from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.trees import staging_in
from deborch_shared.apt.host import HostApt
from deborch_shared.apt.releases import fetch_releases
from deborch_shared.locks import directory_if_free, exclusive
from deborch_shared.process import OutputSink

_KEPT_FOR_S = 7 * 86400.0
_NEWEST = "newest"
_RELEASE = re.compile(r"_(?:In)?Release\Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """Which archives are read, for which architectures, from where this host is."""

    archives: tuple[Archive, ...]
    architecture: str
    foreign_architectures: tuple[str, ...]
    host: HostApt
    proxies: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Of what lists there are, whatever they say."""
        return digest_of([sources_text(self.archives), self.architecture, list(self.foreign_architectures)])

    @property
    def release_urls(self) -> list[str]:
        return [url for archive in self.archives for url in archive.release_urls]


class Lists:
    """The lists in a state directory."""

    def __init__(self, state: State) -> None:
        self._directory = state.lists
        self._scratch = state.scratch
        self._locks = state.locks

    async def releases(self, reading: Reading) -> str:
        """One digest over the InRelease files as they are now; they are not verified here.

        Raises:
            DeborchError: as `read`, if one of them cannot be had.
        """
        if not reading.archives:
            return digest_of([])
        async with self._scratch_directory("releases") as place:
            place.chmod(0o755)
            contents = await fetch_releases(reading.release_urls, place, reading.proxies)
        if contents is not None:
            return releases_digest(contents)
        # One has no InRelease, or cannot be reached: apt knows other ways, and the reason.
        return (await self._update(reading)).name.partition("-")[2]

    async def read(self, reading: Reading, releases: str, on_output: OutputSink | None = None) -> Path:
        """Lists for the archives in the state `releases`, or a newer one if they have moved on meanwhile.

        Targets and composes that want the same lists at the same time wait for one of them to make these.

        Raises:
            DeborchError: of class SIGNATURE or FETCH, with apt's full reason.
        """
        directory = self._directory / f"{reading.digest}-{releases}"
        if not directory.is_dir():
            async with exclusive(self._locks / f"lists-{reading.digest}", on_wait=lambda: None):
                if not directory.is_dir():
                    directory = await self._update(reading, on_output)
        os.utime(directory)
        return directory

    async def _update(self, reading: Reading, on_output: OutputSink | None = None) -> Path:
        async with self._scratch_directory("lists") as place:
            fresh = place / "fresh"
            await asyncio.to_thread(self._begin_with_newest, reading, fresh)
            apt = PrivateApt(place / "apt", fresh, reading.proxies)
            apt.configure(
                reading.archives,
                reading.host,
                architecture=reading.architecture,
                foreign_architectures=reading.foreign_architectures,
            )
            argv = ("apt-get", "-q", "-o", "pkgCacheFile::Generate=false", "update")
            done = await apt.run(*argv, on_output=on_output)
            if done.returncode != 0:
                raise unreadable(done.output.decode("utf-8", "replace"), reading.archives)
            return await asyncio.to_thread(self._keep, reading, fresh)

    def _begin_with_newest(self, reading: Reading, fresh: Path) -> None:
        """Hard links to what there was, so that apt fetches only what is new; it replaces files and writes in none."""
        newest = self._directory / f"{_NEWEST}-{reading.digest}"
        fresh.mkdir(parents=True)
        with suppress(FileNotFoundError):
            known = newest.resolve(strict=True) / "lists"
            (fresh / "lists").mkdir()
            for path in known.iterdir():
                if path.is_file() and path.name != "lock":
                    os.link(path, fresh / "lists" / path.name)

    def _keep(self, reading: Reading, fresh: Path) -> Path:
        names = sorted(path for path in (fresh / "lists").iterdir() if _RELEASE.search(path.name))
        state = releases_digest(path.read_bytes() for path in names)
        kept = self._directory / f"{reading.digest}-{state}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # somebody else has made the same
            fresh.rename(kept)
        link = self._directory / f".{_NEWEST}-{secrets.token_hex(4)}"
        link.symlink_to(kept.name)
        link.replace(self._directory / f"{_NEWEST}-{reading.digest}")
        self._remove_old(kept)
        return kept

    def _remove_old(self, kept: Path) -> None:
        for path in self._directory.iterdir():
            if path == kept or path.is_symlink() or not path.is_dir():
                continue
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _KEPT_FOR_S:
                    shutil.rmtree(path, ignore_errors=True)

    @asynccontextmanager
    async def _scratch_directory(self, what: str) -> AsyncIterator[Path]:
        async with scratch_directory(self._scratch, what) as place:
            yield place


@asynccontextmanager
async def scratch_directory(scratch: Path, what: str) -> AsyncIterator[Path]:
    """A directory in the state's `scratch`, gone at the end; the name begins with `what`.

    It is held meanwhile, so that what a killed process left is seen to be nobody's, and removed.
    """
    place = staging_in(scratch) / f"{what}.{secrets.token_hex(6)}"
    place.mkdir(parents=True)
    try:
        with directory_if_free(place, alone=True):
            yield place
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def releases_digest(contents: Iterable[bytes]) -> str:
    """One digest for InRelease files in whatever order."""
    return digest_of(sorted(hashlib.sha256(content).hexdigest() for content in contents))
