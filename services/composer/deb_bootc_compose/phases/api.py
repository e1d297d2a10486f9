"""What a phase is. Version 1 of the plug-in API: plug-ins offer phases by the entry point `deb_bootc_compose.phases`.

A phase declares which phases it needs, says what its outcome depends on (`inputs`), and makes files in a directory
of its own (`run`). It is not run again while a record with the same inputs is there, in whichever compose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.digests import JsonObject, digest_of
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class Scope(StrEnum):
    """How often a phase is in a compose."""

    COMPOSE = "compose"
    """Once."""
    TARGET = "target"
    """Once for each variant and architecture."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One variant for one architecture."""

    variant: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.variant}.{self.architecture}"


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What a finished phase left. Nobody writes in `directory` any more."""

    phase: str
    target: Target | None
    inputs_digest: str
    facts: JsonObject
    """See `deb_bootc_compose.phases.facts`. Whatever decides the phases after this one is in here, by digest."""
    directory: Path

    @property
    def digest(self) -> str:
        """Of the facts: two runs with the same facts are the same for everybody after them."""
        return digest_of(self.facts)


@dataclass(frozen=True, slots=True)
class PhaseWork:
    """What a phase is given."""

    request: ComposeRequest
    compose_id: str
    target: Target | None
    treefiles: Mapping[Target, ResolvedTreefile]
    directory: Path
    """Empty, and the phase's own; becomes visible to others when `run` has returned. In `inputs`: not there yet."""
    results: Mapping[str, PhaseResult]
    """Of the phases that it needs or comes after, by name; of this target, or of the compose."""
    all_results: Mapping[tuple[str, Target | None], PhaseResult]
    """Of every phase that is finished: for phases of scope COMPOSE."""
    state: State
    tools: Tools
    progress: Progress
    epoch: int
    """SOURCE_DATE_EPOCH of the compose."""
    services: Mapping[str, object] = field(default_factory=dict)
    """Ports that whoever runs the compose puts in place of the stand-alone ones, such as `builds`."""

    @property
    def treefile(self) -> ResolvedTreefile:
        """Of this target."""
        if self.target is None:
            raise LookupError("a phase of scope COMPOSE has many treefiles: see treefiles")
        return self.treefiles[self.target]


class Phase(Protocol):
    """One phase. Instances hold no state: a compose may run one for several targets at once."""

    name: str
    """Such as `gather` or `output.raw`; `--skip-phase output` means everything whose name begins with `output.`"""
    scope: Scope
    needs: tuple[str, ...]
    """Phases without which it cannot run; skipped ones make it skipped."""
    after: tuple[str, ...]
    """Phases that it waits for if they are in the compose, such as `output.*`."""
    cacheable: bool
    """False: run in each compose, such as promotion."""
    exclusive: bool
    """True: does so much by itself that no other phase runs beside it."""
    version: int
    """Raised when the phase makes something else of the same inputs: its records are not used any more."""

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        """Whether this compose has it for this treefile (None: scope COMPOSE)."""

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        """Whether the compose may go on, as `FINISHED_INCOMPLETE`, without it."""

    def deliverables(self, result: PhaseResult) -> Mapping[str, Path]:
        """Files for the compose's own tree: place below `compose/VARIANT/ARCH/` (COMPOSE: `compose/`), and file."""

    async def inputs(self, work: PhaseWork) -> JsonObject:
        """Everything that decides the outcome beside the facts of the phases in `needs`. May fetch; writes nothing."""

    async def holds(self, work: PhaseWork, result: PhaseResult) -> bool:
        """Whether what an earlier run left is still whole where it lies outside `directory`, such as a commit."""

    async def run(self, work: PhaseWork) -> JsonObject:
        """Make it, and return the facts. Cancellation passes through and leaves nothing mounted or running.

        Raises:
            DeborchError: with a `failure_class`; code FETCH_FAILED and other temporary ones are tried again.
        """
