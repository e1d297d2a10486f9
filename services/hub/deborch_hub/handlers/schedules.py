"""Schedules: composes that are asked for again and again, each time once, whichever replica notices."""

import logging
from datetime import datetime

from deborch_hub.domain.composes import next_run
from deborch_hub.handlers.composes import insert_compose
from deborch_hub.handlers.context import Context
from deborch_hub.store.queries import SQL
from deborch_shared.contract.composes import ComposeCreate, ScheduleCreate
from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import AuditRecorded
from deborch_shared.security import Principal

_log = logging.getLogger(__name__)


async def create_schedule(context: Context, command: ScheduleCreate, by: Principal, now: datetime) -> None:
    """Write a schedule. Its files have to be uploaded, as for a compose."""
    first = next_run(now, daily_at=command.daily_at, weekdays=command.weekdays, every_s=command.every_s, last=None)
    async with context.transactions.begin() as work:
        digests = [bytes.fromhex(file.sha256) for file in command.compose.files]
        if await work.connection.fetch(SQL["missing_blobs"], digests):
            raise DeborchError(
                ErrorCode.NOT_FOUND, "not all files are uploaded", hint="PUT the files to /api/v1/blobs/SHA256 first"
            )
        made = await work.connection.fetchval(
            SQL["insert_schedule"],
            command.name,
            command.compose.model_dump(mode="json"),
            command.daily_at,
            list(command.weekdays),
            command.every_s,
            command.enabled,
            by.subject,
            first,
        )
        if made is None:
            raise DeborchError(
                ErrorCode.NAME_TAKEN,
                f"there is a schedule called {command.name}",
                hint="choose another name, or delete that one",
            )
        work.tell(AuditRecorded(actor=by.subject, action="schedule.create", object=command.name))


async def change_schedule(context: Context, name: str, enabled: bool, by: Principal, now: datetime) -> None:
    """Switch a schedule on or off. What was missed while it was off is not made up for."""
    async with context.transactions.begin() as work:
        rows = await work.connection.fetch(SQL["read_schedules"], None, 1, name)
        if not rows:
            raise no_schedule(name)
        row = rows[0]
        following = next_run(
            now, daily_at=row["daily_at"], weekdays=row["weekdays"], every_s=row["every_s"], last=row["last_at"]
        )
        await work.connection.execute(SQL["change_schedule"], name, enabled, following)
        verb = "enable" if enabled else "disable"
        work.tell(AuditRecorded(actor=by.subject, action=f"schedule.{verb}", object=name))


async def delete_schedule(context: Context, name: str, by: Principal) -> None:
    """Forget a schedule; its composes stay."""
    async with context.transactions.begin() as work:
        if await work.connection.fetchval(SQL["delete_schedule"], name) is None:
            raise no_schedule(name)
        work.tell(AuditRecorded(actor=by.subject, action="schedule.delete", object=name))


async def run_due_schedules(context: Context, now: datetime) -> int:
    """Ask for the composes whose time has come; how many were asked for.

    A compose and the next time of its schedule are written together, and the schedule's row is locked: of several
    replicas, and of a replica that dies in between, one compose comes. A schedule whose last compose is still under way
    lets this time pass.
    """
    asked = 0
    async with context.transactions.begin() as work:
        for row in await work.connection.fetch(SQL["due_schedules"], now):
            following = next_run(
                now, daily_at=row["daily_at"], weekdays=row["weekdays"], every_s=row["every_s"], last=row["next_at"]
            )
            compose_id = None
            if row["last_state"] is not None and not ComposeState(row["last_state"]).is_terminal:
                _log.warning("schedule %s: compose %d is still under way", row["name"], row["last_compose_id"])
            else:
                wanted = ComposeCreate.model_validate(row["wanted"])
                compose_id = await insert_compose(work, wanted, row["owner"], row["id"])
                asked += 1
            await work.connection.execute(SQL["schedule_ran"], row["id"], following, compose_id)
    return asked


def no_schedule(name: str) -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND, f"there is no schedule {name}", hint="`deborch compose schedule list` shows them"
    )
