"""Making targets."""

from deborch_hub.handlers.context import Context
from deborch_hub.store.queries import SQL
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode


async def create_target(context: Context, command: TargetCreate) -> str:
    """A target and its archive, which is published, empty and signed, at once."""
    if "all" in command.architectures or "any" in command.architectures:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "a target has machine architectures; all and any are not such",
            hint="for example amd64",
        )
    if len(set(command.architectures)) != len(command.architectures):
        raise DeborchError(ErrorCode.INVALID_INPUT, "an architecture is named twice")
    async with context.transactions.begin() as work:
        await work.connection.execute(SQL["insert_suite"], command.suite)
        archive = await work.connection.fetchval(
            SQL["insert_target"],
            command.name,
            command.suite,
            list(command.architectures),
            list(command.components),
            list(command.required_tags),
            command.require_signature,
        )
        if archive is None:
            raise DeborchError(
                ErrorCode.ALREADY_EXISTS,
                f"there is a target {command.name}",
                hint="`deborch target show` tells what it is",
            )
    context.wake_publisher()
    return command.name
