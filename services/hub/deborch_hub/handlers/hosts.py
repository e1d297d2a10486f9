"""Hosts: registration, the operator's say, and the board's view of them."""

from deborch_hub.domain.matching import HostSlot
from deborch_hub.handlers.context import Context
from deborch_hub.store.queries import SQL
from deborch_shared.bus import host_queue
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.contract.states import HostState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import HostChanged, HostRegistered, Resources
from deborch_shared.security import Principal


async def register_host(context: Context, command: HostRegister, by: Principal) -> HostRegistration:
    """A builder has started: it is known from now on, with what it has now.

    Its queue is there first: the broker confirms what it has no queue for, and drops it.
    """
    by.require_host(command.name)
    await context.declare_host_queue(command.name)
    async with context.transactions.begin() as work:
        host_id = await work.connection.fetchval(
            SQL["register_host"],
            command.name,
            by.subject,
            list(command.architectures),
            list(command.tags),
            command.cpu,
            command.memory_bytes,
            command.disk_bytes,
            command.versions,
        )
        if host_id is None:
            raise DeborchError(
                ErrorCode.NAME_TAKEN,
                f"the host name {command.name} belongs to another builder",
                hint="give this builder another name (DEBORCH_BUILDER_NAME)",
            )
        work.tell(
            HostRegistered(
                host=command.name,
                architectures=command.architectures,
                tags=command.tags,
                resources=Resources(cpu=command.cpu, memory_bytes=command.memory_bytes, disk_bytes=command.disk_bytes),
            )
        )
    await refresh_board(context)
    return HostRegistration(
        id=host_id,
        name=command.name,
        queue=host_queue(command.name).name,
        heartbeat_interval_s=context.heartbeat_interval_s,
        lease_s=context.lease_s,
    )


async def change_host(context: Context, host: str, state: HostState, by: Principal) -> None:
    """Enable, disable or drain a host; what runs there runs on."""
    async with context.transactions.begin() as work:
        if await work.connection.fetchval(SQL["change_host"], host, state.value) is None:
            raise DeborchError(ErrorCode.NOT_FOUND, f"there is no host {host}", hint="`deborch host list` shows them")
        work.tell(HostChanged(host=host, state=state.value, by=by.subject))
    await refresh_board(context)


async def refresh_board(context: Context) -> bool:
    """Lay the database's view of hosts and placements over the board; False if the board changed meanwhile."""
    await context.requirements.load()
    before = context.board.changes
    rows = await context.database.fetch(SQL["hosts"])
    placed = await context.database.fetch(SQL["placed_tasks"])
    slots = [
        HostSlot(
            host_id=row["id"],
            name=row["name"],
            state=HostState(row["state"]),
            online=row["online"],
            architectures=frozenset(row["architectures"]),
            tags=frozenset(row["tags"]),
            cpu=row["cpu"],
            memory_bytes=row["memory_bytes"],
            disk_bytes=row["disk_bytes"],
            unready=row["obstacle"],
        )
        for row in rows
    ]
    if context.board.changes != before:
        context.board.refresh_hosts(slots)
        return False
    context.board.rebuild(slots, [(row["id"], row["host_id"], row["requirement_id"]) for row in placed])
    context.board.look_at_all()
    return True
