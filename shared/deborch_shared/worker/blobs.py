"""The hub's blob store as daemons use it: a port, and its implementation over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient

_OFFSET, _LENGTH = "Upload-Offset", "Upload-Length"
_DOWNLOAD_CHUNK_BYTES = 256 * 1024


class Blobs(Protocol):
    """Each raises DeborchError as the hub answered it, or SERVICE_UNAVAILABLE while it is away."""

    async def bytes_of_blob(self, sha256: str) -> int | None:
        """How many bytes of the blob the hub has; None if all."""

    async def send_blob(self, sha256: str, chunks: AsyncIterator[bytes], *, offset: int, size_bytes: int) -> None:
        """Send a blob of `size_bytes` from `offset` on, which must be what the hub has."""

    def read_blob(self, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """The blob from `offset` on. Close the generator."""


class HttpBlobs:
    """`Blobs` over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def bytes_of_blob(self, sha256: str) -> int | None:
        async with self._client.open("HEAD", _blob(sha256), accept=(404,)) as response:
            return int(response.headers.get(_OFFSET, "0")) if response.status == 404 else None

    async def send_blob(self, sha256: str, chunks: AsyncIterator[bytes], *, offset: int, size_bytes: int) -> None:
        headers = {
            _OFFSET: str(offset),
            _LENGTH: str(size_bytes),
            "Content-Length": str(size_bytes - offset),
            "Content-Type": "application/octet-stream",
        }
        async with self._client.open("PUT", _blob(sha256), body=chunks, headers=headers) as response:
            await response.read()

    async def read_blob(self, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._client.open("GET", _blob(sha256), headers=headers) as response:
            if offset and response.status != 206:
                raise DeborchError(ErrorCode.RANGE_NOT_SATISFIABLE, f"the hub sent blob {sha256} from its start")
            async for chunk in response.content.iter_chunked(_DOWNLOAD_CHUNK_BYTES):
                yield chunk


def _blob(sha256: str) -> str:
    return f"/api/v1/blobs/{sha256}"
