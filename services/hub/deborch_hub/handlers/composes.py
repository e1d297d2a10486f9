"""Composes as people and composers ask for them: create, claim, cancel, resume."""

import asyncpg

from deborch_hub.domain.composes import ComposeMove, compose_transition
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.idempotency import once_only
from deborch_hub.handlers.port import Idempotency
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.bus import composer_key, composer_queue
from deborch_shared.contract.composes import (
    ComposeCreate,
    ComposeGrant,
    ComposeOrder,
    ComposerRegister,
    ComposerRegistration,
)
from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import CancelCompose, ComposeCanceled, ComposeRequested, ComposeRunning
from deborch_shared.events.model import AuditRecorded
from deborch_shared.ids import ComposeId
from deborch_shared.security import Principal


async def create_compose(context: Context, command: ComposeCreate, by: Principal, once: Idempotency | None) -> int:
    """Write a compose that waits for a composer. See `ComposeCommands`."""
    async with context.transactions.begin() as work:
        done = await once_only(work, by, once, lambda: insert_compose(work, command, by.subject, None))
        return done.value


async def insert_compose(work: Work, command: ComposeCreate, owner: str, schedule_id: int | None) -> int:
    """The compose with the blobs of its tree, and the call for composers.

    Raises:
        DeborchError: NOT_FOUND if a file is not uploaded, naming it.
    """
    digests = [bytes.fromhex(file.sha256) for file in command.files]
    missing = {row["sha256"] for row in await work.connection.fetch(SQL["missing_blobs"], digests)}
    if missing:
        paths = [file.path for file in command.files if bytes.fromhex(file.sha256) in missing]
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"not uploaded yet: {', '.join(paths[:5])}{' and more' if len(paths) > 5 else ''}",
            hint="PUT the files to /api/v1/blobs/SHA256 first",
            paths=paths[:100],
        )
    order = ComposeOrder.model_validate(command.model_dump(exclude={"name"})).model_dump(mode="json")
    compose_id = await work.connection.fetchval(
        SQL["insert_compose"], command.name, owner, schedule_id, order, command.type, command.label
    )
    await work.connection.execute(
        SQL["insert_compose_files"], compose_id, [file.path for file in command.files], digests
    )
    work.tell(ComposeRequested(compose_id=compose_id, name=command.name, owner=owner, order=order))
    return int(compose_id)


async def register_composer(context: Context, command: ComposerRegister, by: Principal) -> ComposerRegistration:
    """A composer has started. Its queue is there first: the broker drops what it has no queue for."""
    by.require_host(command.name)
    queue = composer_queue(command.name)
    await context.declare_queue(queue)
    known = await context.database.fetchval(
        SQL["register_composer"],
        command.name,
        by.subject,
        list(command.architectures),
        command.slots,
        command.versions,
    )
    if known is None:
        raise DeborchError(
            ErrorCode.NAME_TAKEN,
            f"the composer name {command.name} belongs to another composer",
            hint="give this composer another name (DEBORCH_COMPOSER_NAME)",
        )
    return ComposerRegistration(
        name=command.name,
        queue=queue.name,
        heartbeat_interval_s=context.heartbeat_interval_s,
        lease_s=context.lease_s,
    )


async def claim_compose(context: Context, compose_id: ComposeId, composer: str, by: Principal) -> ComposeGrant:
    """Make `composer` the one owner of a compose that waits, whoever else asks at the same time.

    Raises:
        DeborchError: NOT_FOUND, CONFLICT if it does not wait (any more).
    """
    by.require_host(composer)
    async with context.transactions.begin() as work:
        compose = await locked_compose(work, compose_id)
        if compose["state"] != ComposeState.REQUESTED.value:
            raise _not_to_be_had(compose)
        attempt = await work.connection.fetchval(SQL["claim_compose"], compose_id, composer, context.lease_s)
        work.tell(ComposeRunning(compose_id=compose_id, attempt=attempt, composer=composer))
    return ComposeGrant(
        compose_id=compose_id,
        attempt=attempt,
        lease_s=context.lease_s,
        order=ComposeOrder.model_validate(compose["wanted"]),
        reference=f"hub-{compose_id}",
    )


def _not_to_be_had(compose: asyncpg.Record) -> DeborchError:
    owner = f" by {compose['composer']}" if compose["state"] == ComposeState.RUNNING.value else ""
    return DeborchError(
        ErrorCode.CONFLICT,
        f"compose {compose['id']} is {compose['state']}{owner} and waits for no composer",
        hint="forget the request",
        state=compose["state"],
    )


async def cancel_compose(context: Context, compose_id: ComposeId, by: Principal) -> None:
    """End a compose that waits or runs; its composer is told to stop, and what it still reports changes nothing."""
    async with context.transactions.begin() as work:
        compose = await locked_compose(work, compose_id)
        message = f"canceled by {by.subject}"
        await move_compose(work, compose, ComposeMove.CANCEL, message=message)
        await work.connection.execute(SQL["end_compose_phases"], compose_id, "canceled")
        if compose["state"] == ComposeState.RUNNING.value:
            work.command(
                composer_key(compose["composer"]), CancelCompose(compose_id=compose_id, attempt=compose["attempt"])
            )
        work.tell(ComposeCanceled(compose_id=compose_id, attempt=compose["attempt"]))
        work.tell(AuditRecorded(actor=by.subject, action="compose.cancel", object=f"compose {compose_id}"))


async def resume_compose(context: Context, compose_id: ComposeId, by: Principal) -> None:
    """Let a composer go on with what failed or was canceled; phases that are done are not run again."""
    async with context.transactions.begin() as work:
        compose = await locked_compose(work, compose_id)
        await move_compose(work, compose, ComposeMove.RESUME)
        announce(work, compose)
        work.tell(AuditRecorded(actor=by.subject, action="compose.resume", object=f"compose {compose_id}"))


def announce(work: Work, compose: asyncpg.Record) -> None:
    """Call for a composer."""
    work.tell(
        ComposeRequested(
            compose_id=compose["id"],
            attempt=compose["attempt"],
            name=compose["name"],
            owner=compose["owner"],
            order=compose["wanted"],
        )
    )


async def locked_compose(work: Work, compose_id: int) -> asyncpg.Record:
    """The compose, so that nobody else decides on it in this transaction's time."""
    compose = await work.connection.fetchrow(SQL["lock_compose"], compose_id)
    if compose is None:
        raise DeborchError(
            ErrorCode.NOT_FOUND, f"there is no compose {compose_id}", hint="`deborch compose list` shows them"
        )
    return compose


async def move_compose(
    work: Work, compose: asyncpg.Record, move: ComposeMove, *, failure_class: str | None = None, message: str = ""
) -> ComposeState:
    """Make a legal move, guarded by state and attempt; the row is locked by the caller, so it cannot miss."""
    state = ComposeState(compose["state"])
    to = compose_transition(state, move).to
    moved = await work.connection.fetchval(
        SQL["move_compose"],
        compose["id"],
        state.value,
        compose["attempt"],
        to.value,
        failure_class,
        message,
        move is ComposeMove.RESUME,
    )
    if moved is None:
        raise DeborchError(ErrorCode.CONFLICT, f"compose {compose['id']} has changed meanwhile", hint="try again")
    return to
