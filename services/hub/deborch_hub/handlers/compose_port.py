"""The commands on composes, as a port: `deborch_hub.handlers` implements it, tests of the API fake it."""

from typing import Protocol

from deborch_hub.handlers.port import Idempotency
from deborch_shared.contract.composes import (
    ComposeCreate,
    ComposeGrant,
    ComposerRegister,
    ComposerRegistration,
    PromoteRef,
    PromoteTag,
    RollbackRef,
    RollbackTag,
    ScheduleCreate,
)
from deborch_shared.ids import ComposeId
from deborch_shared.security import Principal


class ComposeCommands(Protocol):
    """Each is done and durable when it returns, or raises a DeborchError and has changed nothing."""

    async def create_compose(self, command: ComposeCreate, by: Principal, once: Idempotency | None) -> ComposeId: ...

    async def cancel_compose(self, compose_id: ComposeId, by: Principal) -> None: ...

    async def resume_compose(self, compose_id: ComposeId, by: Principal) -> None: ...

    async def register_composer(self, command: ComposerRegister, by: Principal) -> ComposerRegistration: ...

    async def claim_compose(self, compose_id: ComposeId, composer: str, by: Principal) -> ComposeGrant: ...

    async def create_schedule(self, command: ScheduleCreate, by: Principal) -> None: ...

    async def change_schedule(self, name: str, enabled: bool, by: Principal) -> None: ...

    async def delete_schedule(self, name: str, by: Principal) -> None: ...

    async def promote_ref(self, ref: str, command: PromoteRef, by: Principal) -> None: ...

    async def rollback_ref(self, ref: str, command: RollbackRef, by: Principal) -> None: ...

    async def promote_tag(self, command: PromoteTag, by: Principal) -> None: ...

    async def rollback_tag(self, command: RollbackTag, by: Principal) -> None: ...
