"""How a phase tells what it does."""

from typing import Protocol


class Progress(Protocol):
    """Of one phase. Calls never block and never fail."""

    def step(self, what: str, done: float = 0.0, total: float = 0.0) -> None:
        """Now doing `what`; `done` of `total` of it, in any unit, if that is known."""

    def log(self, text: bytes) -> None:
        """Output for the log of the phase, as it comes."""


class Silent:
    """Nobody listens."""

    def step(self, what: str, done: float = 0.0, total: float = 0.0) -> None:
        """Nothing."""

    def log(self, text: bytes) -> None:
        """Nothing."""
