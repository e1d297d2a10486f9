"""The hub's HTTP API as a composer uses it: a port, and its implementation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from deborch_composer.compose_key import ComposeKey
from deborch_shared.contract.base import Page
from deborch_shared.contract.composes import (
    ComposeClaim,
    ComposeGrant,
    ComposerRegister,
    ComposerRegistration,
    MissingObjects,
    ObjectNames,
    Ref,
)
from deborch_shared.contract.payloads import LogPosition
from deborch_shared.worker.blobs import Blobs, HttpBlobs

_PAGE = 200


class Hub(Blobs, Protocol):
    """Each raises DeborchError as the hub answered it, or SERVICE_UNAVAILABLE while it is away."""

    async def register(self, composer: ComposerRegister) -> ComposerRegistration: ...

    async def claim(self, compose_id: int, composer: str) -> ComposeGrant:
        """Raises CONFLICT if another has it or it is not wanted any more."""

    async def append_log(self, key: ComposeKey, node: str, offset: int, chunk: bytes) -> int:
        """Send `chunk` of the log of a phase that starts at `offset`; how many bytes the hub then has."""

    async def refs(self) -> Mapping[str, str]:
        """Refs of the hub's OSTree remote, and the commits that they are at."""

    async def missing_objects(self, names: Sequence[str]) -> Sequence[str]:
        """Which of them the hub's OSTree remote lacks."""

    async def send_objects(self, archive: AsyncIterator[bytes]) -> None:
        """A tar of objects, each member called by its name."""


class HttpHub(HttpBlobs):
    """`Hub` over HTTP."""

    async def register(self, composer: ComposerRegister) -> ComposerRegistration:
        return await self._client.post("/api/v1/composers", ComposerRegistration, composer)

    async def claim(self, compose_id: int, composer: str) -> ComposeGrant:
        path = f"/api/v1/composes/{compose_id}/claim"
        return await self._client.post(path, ComposeGrant, ComposeClaim(composer=composer))

    async def append_log(self, key: ComposeKey, node: str, offset: int, chunk: bytes) -> int:
        path = f"/api/v1/composes/{key.compose_id}/attempts/{key.attempt}/logs/{node}"
        answer = await self._client.call("PUT", path, params={"offset": str(offset)}, body=chunk)
        return LogPosition.model_validate_json(answer).size_bytes

    async def refs(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        params = {"limit": str(_PAGE)}
        while True:
            page = await self._client.get("/api/v1/refs", Page[Ref], params=params)
            found |= {ref.ref: ref.commit for ref in page.items}
            if page.next is None:
                return found
            params["cursor"] = page.next

    async def missing_objects(self, names: Sequence[str]) -> Sequence[str]:
        body = MissingObjects(objects=tuple(names))
        return (await self._client.post("/api/v1/ostree/missing", ObjectNames, body)).objects

    async def send_objects(self, archive: AsyncIterator[bytes]) -> None:
        headers = {"Content-Type": "application/x-tar"}
        async with self._client.open("PUT", "/api/v1/ostree/objects", body=archive, headers=headers) as response:
            await response.read()
