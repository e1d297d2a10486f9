"""A blob into a local file: verified while it arrives, resumed when the connection breaks, renamed when whole."""

import asyncio
import hashlib
from pathlib import Path
from typing import BinaryIO, Protocol

from deborch_cli.transfer.progress import Moved, unseen
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.http import ApiClient

_CHUNK_BYTES = 256 * 1024
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)


class Stored(Protocol):
    """What is known of a file in the store: an artifact, or a file of a source package."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...


def safe_path(directory: Path, name: str) -> Path:
    """Where in `directory` a file that a peer calls `name` goes.

    Raises:
        DeborchError: UNSAFE_PATH if the name is no plain file name, and so could lead out of the directory.
    """
    if name in {"", ".", ".."} or "/" in name or "\\" in name or not name.isprintable():
        raise DeborchError(
            ErrorCode.UNSAFE_PATH,
            f"the file name {bounded(repr(name), 120)} leads out of its directory or hides something",
            hint="nothing was written under it; tell who runs the hub",
        )
    return directory / name


async def download(
    hub: ApiClient, file: Stored, directory: Path, *, overwrite: bool = False, moved: Moved = unseen
) -> Path:
    """Bring `file` into `directory`; one that is there already with the same content is left as it is.

    Raises:
        DeborchError: UNSAFE_PATH; ALREADY_EXISTS if other content is there under that name and `overwrite` is not
            set; DIGEST_MISMATCH if what arrived is not what was promised. In each case no file has appeared.
    """
    path = safe_path(directory, file.name)
    if path.exists() and not overwrite:
        if await asyncio.to_thread(sha256_of, path) != file.sha256:
            raise DeborchError(
                ErrorCode.ALREADY_EXISTS, f"{path} is there with other content", hint="--force replaces it"
            )
        moved(file.name, file.size_bytes)
        return path
    partial = directory / f".{file.name}.{file.sha256[:12]}.partial"
    try:
        with partial.open("wb") as sink:
            await _fetch(hub, file, sink, moved)
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _fetch(hub: ApiClient, file: Stored, sink: BinaryIO, moved: Moved) -> None:
    digest, delays = hashlib.sha256(), iter(_RETRY_DELAYS_S)
    while sink.tell() < file.size_bytes:
        began_at = sink.tell()
        try:
            await _fetch_rest(hub, file, sink, digest, moved)
            if sink.tell() == began_at:
                break
        except DeborchError as error:
            if sink.tell() > began_at:
                delays = iter(_RETRY_DELAYS_S)
            delay_s = next(delays, None)
            if delay_s is None or not error.temporary:
                raise
            await asyncio.sleep(delay_s)
    if sink.tell() != file.size_bytes or digest.hexdigest() != file.sha256:
        raise DeborchError(
            ErrorCode.DIGEST_MISMATCH,
            f"{file.name} arrived with other content than the hub promised; it was thrown away",
            hint="try again; if it happens again, the hub's blob store is damaged",
        )


async def _fetch_rest(hub: ApiClient, file: Stored, sink: BinaryIO, digest: "hashlib._Hash", moved: Moved) -> None:
    headers = {"Range": f"bytes={sink.tell()}-"} if sink.tell() else {}
    async with hub.open("GET", f"/api/v1/blobs/{file.sha256}", headers=headers) as response:
        if headers and response.status != 206:
            raise DeborchError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"the hub cannot resume the download of {file.name}",
                hint="it is begun anew if you try again; a proxy between may not know of ranges",
            )
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            if sink.tell() + len(chunk) > file.size_bytes:
                raise DeborchError(
                    ErrorCode.DIGEST_MISMATCH,
                    f"{file.name} is larger than the hub promised",
                    hint="it was thrown away; tell who runs the hub",
                )
            await asyncio.to_thread(sink.write, chunk)
            digest.update(chunk)
            moved(file.name, sink.tell())
