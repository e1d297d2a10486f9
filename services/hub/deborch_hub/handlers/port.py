"""The commands that the API gives, as a port: `deborch_hub.handlers` implements it, tests of the API fake it."""

from dataclasses import dataclass
from typing import Protocol

from deborch_shared.contract.builds import BuildCreate, GiveBack, TaskCreate, TaskRef
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.contract.states import HostState
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.ids import BuildId, Sha256, TaskId
from deborch_shared.security import Principal


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The caller's `Idempotency-Key` and the SHA-256 of method, path and body it came with."""

    key: str
    request: bytes


class Commands(Protocol):
    """Each is done and durable when it returns, or raises a DeborchError and has changed nothing."""

    async def create_target(self, command: TargetCreate, by: Principal) -> str: ...

    async def create_build(self, command: BuildCreate, by: Principal, once: Idempotency | None) -> BuildId: ...

    async def create_task(self, command: TaskCreate, by: Principal, once: Idempotency | None) -> TaskRef: ...

    async def cancel_build(self, build_id: BuildId, by: Principal) -> None: ...

    async def cancel_task(self, task_id: TaskId, by: Principal) -> None: ...

    async def give_back(self, build_id: BuildId, command: GiveBack, by: Principal) -> None: ...

    async def register_host(self, command: HostRegister, by: Principal) -> HostRegistration: ...

    async def change_host(self, host: str, state: HostState, by: Principal) -> None: ...

    async def record_blob(self, sha256: Sha256, size_bytes: int) -> None: ...
