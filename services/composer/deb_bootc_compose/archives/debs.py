"""The .debs of all composes, each once by its SHA-256; fetched by apt's own downloader, and checked each time."""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deb_bootc_compose.archives.lists import scratch_directory
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.state.layout import State
from deborch_shared import process
from deborch_shared.apt.faults import FaultKind, fault_in
from deborch_shared.apt.releases import APT_HELPER, let_apt_write
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.locks import exclusive

_PIECE_BYTES = 1 << 20
_AT_ONCE = 400
"""Files that one run of the downloader is asked for: their addresses have to fit in its arguments."""
_LOOK_EACH_S = 0.25
_TAKES_AT_MOST_S = 6 * 3600.0
_LOCAL = ("file:", "copy:")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class WantedDeb:
    """A .deb by what is in it; `uris` are tried in turn."""

    name: str
    """As people read it."""
    sha256: str
    size_bytes: int
    uris: tuple[str, ...]


class DebCache:
    """Files appear whole or not at all, so composes at the same time may share it; they do not fetch anything twice."""

    def __init__(self, state: State, proxies: Mapping[str, str]) -> None:
        self._directory = state.debs
        self._scratch = state.scratch
        self._lock = state.locks / "debs"
        self._proxies = proxies

    def path(self, sha256: str) -> Path:
        """Where the .deb with this digest is kept."""
        return self._directory / "sha256" / sha256[:2] / sha256

    async def have(self, wanted: Sequence[WantedDeb], progress: Progress) -> int:
        """See to it that all of `wanted` are here and whole; how many bytes had to be fetched.

        Raises:
            DeborchError: of class FETCH: NOT_FOUND if no archive has one any more, DIGEST_MISMATCH if it is another,
                FETCH_FAILED if an archive cannot be reached; DISK_FULL of class HOST.
        """
        if not await asyncio.to_thread(self._missing, wanted):
            return 0
        async with exclusive(self._lock, on_wait=lambda: progress.step("waiting for another compose's downloads")):
            missing = await asyncio.to_thread(self._missing, wanted)
            fetched = sum(one.size_bytes for one in missing)
            said = ""
            for number in range(max((len(one.uris) for one in missing), default=0)):
                said = await self._fetch(missing, number, progress)
                missing = await asyncio.to_thread(self._missing, missing)
                if not missing:
                    return fetched
            if missing:
                raise _not_had(missing, said)
            return fetched

    def add(self, source: Path, sha256: str) -> bool:
        """Take the file `source` in, if it has this digest."""
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{sha256}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as content, temporary.open("xb") as copy:
                shutil.copyfileobj(content, copy, _PIECE_BYTES)
            if digest_of_content(temporary) != sha256:
                return False
            temporary.chmod(0o444)
            temporary.rename(target)
        except FileNotFoundError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _missing(self, wanted: Iterable[WantedDeb]) -> list[WantedDeb]:
        """Those that are not here, after what is damaged has been thrown away."""
        found = []
        for one in wanted:
            path = self.path(one.sha256)
            try:
                whole = path.stat().st_size == one.size_bytes and digest_of_content(path) == one.sha256
            except FileNotFoundError:
                found.append(one)
                continue
            if not whole:
                path.unlink(missing_ok=True)
                found.append(one)
        return found

    async def _fetch(self, missing: Sequence[WantedDeb], number: int, progress: Progress) -> str:
        """Try the address `number` of each; what the downloader said."""
        said = []
        pairs = [(one, one.uris[number]) for one in missing if number < len(one.uris)]
        local = [(one, uri) for one, uri in pairs if uri.startswith(_LOCAL)]
        remote = [(one, uri) for one, uri in pairs if not uri.startswith(_LOCAL)]
        said += [await asyncio.to_thread(self._take_local, one, uri) for one, uri in local]
        for start in range(0, len(remote), _AT_ONCE):
            said += [await self._download(remote[start : start + _AT_ONCE], progress)]
        return "".join(said)

    def _take_local(self, one: WantedDeb, uri: str) -> str:
        path = Path("/" + unquote(uri.partition(":")[2]).lstrip("/"))
        if self.add(path, one.sha256):
            return ""
        return f"{path}: {'Hash Sum mismatch' if path.exists() else 'File not found'}\n"

    async def _download(self, pairs: Sequence[tuple[WantedDeb, str]], progress: Progress) -> str:
        async with scratch_directory(self._scratch, "debs") as place:
            let_apt_write(place)
            words = [word for one, uri in pairs for word in (uri, str(place / one.sha256), f"SHA256:{one.sha256}")]
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **self._proxies}
            async with _watched(place, sum(one.size_bytes for one, _ in pairs), progress):
                done = await process.run(
                    [APT_HELPER, "-q", "-o", "Acquire::Retries=3", "download-file", *words],
                    env=environment,
                    on_output=progress.log,
                    timeout_s=_TAKES_AT_MOST_S,
                    check=False,
                )
            await asyncio.to_thread(self._take_in, [one for one, _ in pairs], place)
            return done.output.decode("utf-8", "replace")

    def _take_in(self, wanted: Iterable[WantedDeb], place: Path) -> None:
        for one in wanted:
            with suppress(FileNotFoundError):
                self.add(place / one.sha256, one.sha256)


@asynccontextmanager
async def _watched(place: Path, total_bytes: int, progress: Progress) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(place, total_bytes, progress))
        try:
            yield
        finally:
            watching.cancel()


async def _watch(place: Path, total_bytes: int, progress: Progress) -> None:
    while True:
        await asyncio.sleep(_LOOK_EACH_S)
        with suppress(OSError):
            done = sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(place))
            progress.step("downloading packages", min(done, total_bytes), total_bytes)


def digest_of_content(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _not_had(missing: Sequence[WantedDeb], said: str) -> DeborchError:
    names = ", ".join(one.name for one in missing[:_SHOWN])
    names += f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    fault = fault_in(said)
    kind = fault.kind if fault else FaultKind.UNREACHABLE
    fields = {"missing": [one.name for one in missing]}
    if kind is FaultKind.DISK_FULL:
        hint = "free space where the state directory is (deb-bootc-compose gc)"
        return failure(FailureClass.HOST, ErrorCode.DISK_FULL, f"the disk is full: {names}", hint=hint, **fields)
    if kind is FaultKind.HALF_UPDATED:
        return failure(
            FailureClass.FETCH,
            ErrorCode.DIGEST_MISMATCH,
            f"what the archive has is not what its index or the lock file names: {names}",
            hint="if the archive is being updated, try again; a lock file needs the archive that it was made of",
            **fields,
        )
    if kind is FaultKind.NOT_THERE:
        return failure(
            FailureClass.FETCH,
            ErrorCode.NOT_FOUND,
            f"no archive has these any more: {names}",
            hint="take them from a snapshot of the archive (mirror with {snapshot}, snapshot), keep the state"
            " directory's cache of .debs, or compose without the lock file",
            **fields,
        )
    return failure(
        FailureClass.FETCH,
        ErrorCode.FETCH_FAILED,
        f"these could not be fetched: {names}: {bounded(said[-600:])}",
        hint="check the network, the proxy variables and the address",
        **fields,
    )
