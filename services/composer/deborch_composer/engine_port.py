"""What the daemon asks of a compose engine, so that tests run it with a fake and deb_bootc_compose stays behind one
adapter."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from deborch_shared.contract.composes import ComposeOrder
from deborch_shared.events.composes import ComposeCommit, ComposeImage, PhaseOutcome


@dataclass(frozen=True, slots=True)
class Node:
    """A phase of one variant and architecture (`target`), or of the whole compose (no target)."""

    phase: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.phase}.{self.target}" if self.target else self.phase


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """How a phase ended. `message`: why it failed or was skipped."""

    node: Node
    state: PhaseOutcome
    seconds: float = 0.0
    failable: bool = False
    failure_class: str = ""
    message: str = ""


class Watch(Protocol):
    """Told by the engine of what happens, in the event loop's thread. Does not block."""

    def planned(self, name: str, nodes: Sequence[Node], *, resumed: bool) -> None:
        """`name`: the engine's compose id; `nodes`: in the order in which they can run."""

    def began(self, node: Node, tries: int) -> None:
        """`tries` counts from 1."""

    def step(self, node: Node, step: str, done: float, total: float) -> None:
        """What a running phase does now; `total` 0: not known."""

    def log(self, node: Node, chunk: bytes) -> None:
        """More of a phase's log."""

    def ended(self, end: PhaseEnd) -> None:
        """A phase is over."""


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """A compose. `tree` holds the files of `order`; the `reference` finds what an earlier attempt has begun."""

    reference: str
    tree: Path
    order: ComposeOrder


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file of the compose; `path` is its place in there, `kind` the output's name or `metadata`."""

    path: str
    source: Path
    kind: str
    variant: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a compose."""

    outcome: Literal["finished", "finished_incomplete", "failed"]
    seconds: float = 0.0
    failure_class: str = ""
    message: str = ""
    files: tuple[MadeFile, ...] = ()
    commits: tuple[ComposeCommit, ...] = ()
    images: tuple[ComposeImage, ...] = ()


class ObjectSource(Protocol):
    """The objects of some commits, as an OSTree remote has them."""

    @property
    def names(self) -> Sequence[str]:
        """Such as `CHECKSUM.filez`, each after those that it needs."""

    async def path_of(self, name: str) -> Path:
        """Where it is as a file."""


class ComposeEngine(Protocol):
    """Each call ends its work within seconds when it is cancelled, and leaves nothing mounted or running."""

    async def recover(self) -> None:
        """Raises if the engine is not usable here."""

    async def follow(self, refs: Mapping[str, str]) -> None:
        """New commits are to follow those that these refs are at."""

    async def compose(self, order: EngineOrder, watch: Watch) -> Made:
        """Make it, or go on with what an earlier attempt of this reference has begun here.

        Raises:
            DeborchError: the order is wrong, so that nothing was begun.
        """

    def objects_of(self, commits: Sequence[ComposeCommit]) -> AbstractAsyncContextManager[ObjectSource]:
        """For as long as the context lasts."""

    async def collect_garbage(self) -> None:
        """Remove from the caches what is beyond their limits and not in use."""

    async def close(self) -> None: ...
