"""The `ComposeCommands` port implemented: each method is one handler."""

from deborch_hub.handlers import composes, promotions, schedules
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.port import Idempotency
from deborch_shared.clock import Clock
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


class ComposeHub:
    """What the API may tell the hub to do with composes."""

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context = context
        self._clock = clock

    async def create_compose(self, command: ComposeCreate, by: Principal, once: Idempotency | None) -> ComposeId:
        return ComposeId(await composes.create_compose(self._context, command, by, once))

    async def cancel_compose(self, compose_id: ComposeId, by: Principal) -> None:
        await composes.cancel_compose(self._context, compose_id, by)

    async def resume_compose(self, compose_id: ComposeId, by: Principal) -> None:
        await composes.resume_compose(self._context, compose_id, by)

    async def register_composer(self, command: ComposerRegister, by: Principal) -> ComposerRegistration:
        return await composes.register_composer(self._context, command, by)

    async def claim_compose(self, compose_id: ComposeId, composer: str, by: Principal) -> ComposeGrant:
        return await composes.claim_compose(self._context, compose_id, composer, by)

    async def create_schedule(self, command: ScheduleCreate, by: Principal) -> None:
        await schedules.create_schedule(self._context, command, by, self._clock.now())

    async def change_schedule(self, name: str, enabled: bool, by: Principal) -> None:
        await schedules.change_schedule(self._context, name, enabled, by, self._clock.now())

    async def delete_schedule(self, name: str, by: Principal) -> None:
        await schedules.delete_schedule(self._context, name, by)

    async def promote_ref(self, ref: str, command: PromoteRef, by: Principal) -> None:
        await promotions.promote_ref(self._context, ref, command, by)

    async def rollback_ref(self, ref: str, command: RollbackRef, by: Principal) -> None:
        await promotions.rollback_ref(self._context, ref, command, by)

    async def promote_tag(self, command: PromoteTag, by: Principal) -> None:
        await promotions.promote_tag(self._context, command, by)

    async def rollback_tag(self, command: RollbackTag, by: Principal) -> None:
        await promotions.rollback_tag(self._context, command, by)
