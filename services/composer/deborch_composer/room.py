"""Whether this composer takes a further compose now. It is a gate: what it has no room for stays for others."""

from collections.abc import Callable

from deborch_shared.bus import Gate
from deborch_shared.clock import Clock

_LOOK_S = 1.0


class Room:
    """Open while a slot is free, nothing is wrong with this host, and it is not draining."""

    def __init__(self, slots: int, running: Callable[[], int], problem: Callable[[], str | None]) -> None:
        self.gate = Gate(is_open=False)
        self._slots = slots
        self._running = running
        self._problem = problem
        self._draining = False

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        """Take nothing any more."""
        self._draining = True
        self.look()

    def look(self) -> bool:
        """See whether there is room, and open or shut the gate."""
        room = not self._draining and self._running() < self._slots and self._problem() is None
        self.gate.let(room)
        return room

    async def run(self, clock: Clock) -> None:
        """Look each second, until cancelled: what is wrong with the host says nothing when it changes."""
        while True:
            self.look()
            await clock.sleep(_LOOK_S)
