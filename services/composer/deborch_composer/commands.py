"""What the hub tells this composer alone: cancels."""

from collections.abc import Sequence

from deborch_composer.compose_key import ComposeKey
from deborch_composer.composes import Composes, Ending
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event
from deborch_shared.events.composes import CancelCompose


class Commands:
    """The handler of this composer's own queue."""

    def __init__(self, composes: Composes) -> None:
        self._composes = composes

    async def handle(self, events: Sequence[Event]) -> None:
        """Apply `events` in order.

        Raises:
            DeborchError: UNKNOWN_EVENT, for an event that is no command.
        """
        for event in events:
            if not isinstance(event.data, CancelCompose):
                raise DeborchError(ErrorCode.UNKNOWN_EVENT, f"{event.type} is no command to a composer")
            command = event.data
            key = ComposeKey(command.compose_id, command.attempt)
            self._composes.end(key, Ending.LOST if command.lost else Ending.CANCELED)
