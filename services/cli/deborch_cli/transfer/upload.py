"""A local file into the blob store: only if it is not there yet, and from where the last attempt broke off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from deborch_cli.transfer.progress import Moved, unseen
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient

_CHUNK_BYTES = 256 * 1024
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine, its digest known and verified."""

    path: Path
    name: str
    sha256: str
    size_bytes: int


async def upload(hub: ApiClient, file: LocalFile, *, moved: Moved = unseen) -> bool:
    """Bring `file` into the store; False if it was there already. Broken connections are resumed.

    Raises:
        DeborchError: what the hub refused, or SERVICE_UNAVAILABLE once several attempts brought nothing over.
    """
    delays, furthest, attempts = iter(_RETRY_DELAYS_S), 0, 0
    while True:
        try:
            offset = await _received_bytes(hub, file)
            if offset is None:
                moved(file.name, file.size_bytes)
                return attempts > 0
            if offset > furthest:
                delays, furthest = iter(_RETRY_DELAYS_S), offset
            attempts += 1
            await _send_from(hub, file, offset, moved)
        except DeborchError as error:
            delay_s = next(delays, None)
            # A conflict is a position that another upload of the same file has moved on.
            if delay_s is None or not (error.temporary or error.code is ErrorCode.CONFLICT):
                raise
            await asyncio.sleep(delay_s)


async def _received_bytes(hub: ApiClient, file: LocalFile) -> int | None:
    """How much of the file the hub has; None if all."""
    async with hub.open("HEAD", f"/api/v1/blobs/{file.sha256}", accept=(404,)) as response:
        return int(response.headers.get("Upload-Offset", "0")) if response.status == 404 else None


async def _send_from(hub: ApiClient, file: LocalFile, offset: int, moved: Moved) -> None:
    headers = {
        "Upload-Offset": str(offset),
        "Upload-Length": str(file.size_bytes),
        "Content-Length": str(file.size_bytes - offset),
        "Content-Type": "application/octet-stream",
    }
    chunks = _chunks(file, offset, moved)
    async with hub.open("PUT", f"/api/v1/blobs/{file.sha256}", body=chunks, headers=headers) as response:
        await response.read()


async def _chunks(file: LocalFile, offset: int, moved: Moved) -> AsyncIterator[bytes]:
    with file.path.open("rb") as source:
        source.seek(offset)
        while chunk := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield chunk
            offset += len(chunk)
            moved(file.name, offset)
