"""Composes: what the hub says of them, what composers report, what one composer is told."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from deborch_shared.events.model import EventData, SaidText, Sha256Hex

PhaseOutcome = Literal["done", "reused", "failed", "skipped", "canceled"]
PhaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
TargetName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,199})?$")]
"""`VARIANT.ARCHITECTURE`, empty for a phase of the whole compose."""
OutputPath = Annotated[str, Field(pattern=r"^[^\x00/]+(/[^\x00/]+)*$", max_length=1_000)]
ComposeOutcome = Literal["finished", "finished_incomplete", "failed", "canceled"]


# --- events of the hub -------------------------------------------------------------------------------------------


class ComposeEvent(EventData):
    """What all events on one compose carry. `compose_id`: the hub's number, not the engine's name for it."""

    compose_id: int
    attempt: int = 0


class ComposeRequested(ComposeEvent):
    """A compose waits for a composer. `attempt` is that of the last owner, 0 if there was none.

    A call, not a grant: who wants to work on it claims it at the hub first.
    """

    TYPE: ClassVar[str] = "compose.requested"
    name: str
    owner: str
    order: dict[str, Any]
    """As of `deborch_shared.contract.composes.ComposeOrder`."""


class ComposeRunning(ComposeEvent):
    """A composer has claimed it."""

    TYPE: ClassVar[str] = "compose.running"
    composer: str


class ComposePhaseChanged(ComposeEvent):
    """A phase has begun or ended. `target` is `VARIANT.ARCHITECTURE`, empty for a phase of the whole compose."""

    TYPE: ClassVar[str] = "compose.phase.changed"
    phase: str
    target: str = ""
    state: str
    seconds: float = 0.0
    message: str = ""


class ComposeProgress(ComposeEvent):
    """What a running phase does now, told at most every few seconds."""

    TYPE: ClassVar[str] = "compose.progress"
    phase: str
    target: str = ""
    step: str
    done: float = 0.0
    total: float = 0.0


class ComposeFinished(ComposeEvent):
    """Its outputs can be downloaded. `incomplete`: an output that it may do without is missing."""

    TYPE: ClassVar[str] = "compose.finished"
    incomplete: bool = False


class ComposeFailed(ComposeEvent):
    TYPE: ClassVar[str] = "compose.failed"
    failure_class: str = ""
    message: str = ""


class ComposeCanceled(ComposeEvent):
    TYPE: ClassVar[str] = "compose.canceled"


class RefPromoted(EventData):
    """A ref of the OSTree remote points to another commit. `rolled_back`: to one that it had before."""

    TYPE: ClassVar[str] = "ref.promoted"
    ref: str
    commit: str
    previous: str | None
    compose_id: int | None
    by: str
    rolled_back: bool = False


class ImageTagged(EventData):
    """A tag of an image points to another digest. `rolled_back`: to one that it had before."""

    TYPE: ClassVar[str] = "image.tagged"
    image: str
    tag: str
    digest: str
    previous: str | None
    compose_id: int | None
    by: str
    rolled_back: bool = False


# --- reports of a composer ---------------------------------------------------------------------------------------


class ComposeReport(EventData):
    """What all reports on one compose carry: they count only while `composer` owns `attempt` of it."""

    compose_id: int
    attempt: int
    composer: str


class PlannedPhase(EventData):
    phase: PhaseName
    target: TargetName = ""


class ComposeStarted(ComposeReport):
    """The plan is made. `name`: the engine's compose id; `phases`: in the order in which they can run."""

    TYPE: ClassVar[str] = "compose.started"
    name: SaidText = Field(max_length=255)
    phases: tuple[PlannedPhase, ...] = Field(max_length=5_000)
    resumed: bool = False


class ComposePhaseStarted(ComposeReport):
    """`attempt` is the compose's; `tries` counts how often this phase began in it, from 1."""

    TYPE: ClassVar[str] = "compose.phase.started"
    phase: PhaseName
    target: TargetName = ""
    tries: int = Field(1, ge=1)


class ComposePhaseDone(ComposeReport):
    """The end of a phase. `message`: why it failed or was skipped."""

    TYPE: ClassVar[str] = "compose.phase.done"
    phase: PhaseName
    target: TargetName = ""
    state: PhaseOutcome
    seconds: float = Field(0.0, ge=0)
    failable: bool = False
    failure_class: str = Field("", max_length=40)
    message: SaidText = Field("", max_length=8_000)


class ComposeOutput(EventData):
    """A file of the compose that is in the blob store. `path` is relative to the compose's directory."""

    path: OutputPath
    kind: str = Field(max_length=40)
    """The output's name, such as `ociarchive`, `qcow2`, or `metadata`."""
    variant: str = Field("", max_length=100)
    architecture: str = Field("", max_length=32)
    sha256: Sha256Hex
    size_bytes: int = Field(ge=0)


class ComposeCommit(EventData):
    """A commit whose objects are in the hub's OSTree repository, for the ref that a promotion moves."""

    ref: str = Field(min_length=1, max_length=255)
    commit: Sha256Hex
    variant: str = Field("", max_length=100)
    architecture: str = Field("", max_length=32)
    version: SaidText = Field("", max_length=255)


class ComposeImage(EventData):
    """An image that is in a registry by its digest, for the tags that a promotion moves."""

    image: str = Field(min_length=1, max_length=512)
    """`REGISTRY/NAME`, without tag and digest."""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    tags: tuple[str, ...] = Field((), max_length=20)
    """Which the treefile wants moved."""
    variant: str = Field("", max_length=100)


class ComposeDone(ComposeReport):
    """The last report: what came of it. Outputs and objects are uploaded before."""

    TYPE: ClassVar[str] = "compose.done"
    outcome: ComposeOutcome
    seconds: float = Field(0.0, ge=0)
    failure_class: str = Field("", max_length=40)
    message: SaidText = Field("", max_length=8_000)
    outputs: tuple[ComposeOutput, ...] = Field((), max_length=5_000)
    commits: tuple[ComposeCommit, ...] = Field((), max_length=500)
    images: tuple[ComposeImage, ...] = Field((), max_length=500)


class ComposeReleased(ComposeReport):
    """The composer gives the compose back, since it stops or cannot do it: another takes it."""

    TYPE: ClassVar[str] = "compose.released"
    reason: SaidText = Field("", max_length=500)


class RunningPhase(EventData):
    """What a phase does now; `total` 0: not known."""

    phase: PhaseName
    target: TargetName = ""
    step: SaidText = Field("", max_length=500)
    done: float = Field(0.0, ge=0)
    total: float = Field(0.0, ge=0)


class RunningCompose(EventData):
    compose_id: int
    attempt: int
    phases: tuple[RunningPhase, ...] = Field((), max_length=200)


class ComposerHeartbeat(EventData):
    """Transient: the composer lives, and which leases it renews."""

    TYPE: ClassVar[str] = "composer.heartbeat"
    composer: str
    draining: bool = False
    running: tuple[RunningCompose, ...] = ()


# --- commands to one composer ------------------------------------------------------------------------------------


class CancelCompose(EventData):
    """Stop this attempt. `lost`: it is not this composer's any more, and no report is wanted."""

    TYPE: ClassVar[str] = "compose.cancel"
    compose_id: int
    attempt: int
    lost: bool = False
