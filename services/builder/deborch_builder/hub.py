"""The hub's HTTP API as a builder uses it: a port, and its implementation."""

from typing import Protocol

from deborch_builder.attempt_key import AttemptKey
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.contract.payloads import LogPosition
from deborch_shared.worker.blobs import Blobs, HttpBlobs


class Hub(Blobs, Protocol):
    """Each raises DeborchError as the hub answered it, or SERVICE_UNAVAILABLE while it is away."""

    async def register(self, host: HostRegister) -> HostRegistration: ...

    async def append_log(self, key: AttemptKey, offset: int, chunk: bytes) -> int:
        """Send `chunk` of an attempt's log that starts at `offset`; how many bytes the hub then has."""


class HttpHub(HttpBlobs):
    """`Hub` over HTTP."""

    async def register(self, host: HostRegister) -> HostRegistration:
        return await self._client.post("/api/v1/hosts", HostRegistration, host)

    async def append_log(self, key: AttemptKey, offset: int, chunk: bytes) -> int:
        path = f"/api/v1/tasks/{key.task_id}/attempts/{key.attempt}/log"
        answer = await self._client.call("PUT", path, params={"offset": str(offset)}, body=chunk)
        return LogPosition.model_validate_json(answer).size_bytes
