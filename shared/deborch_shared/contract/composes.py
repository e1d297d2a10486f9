"""Composes: what a person asks for, what a composer claims, what became of it, and what is promoted."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from deborch_shared.contract.base import Architecture, Input, Name, Output, PageQuery, Sha256Hex
from deborch_shared.contract.states import ComposeState, PhaseState


def _within(path: str) -> str:
    """A path that stays within the directory that it is relative to, in its only spelling."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or str(parts) != path or path == "." or "\0" in path:
        raise ValueError("must be a relative path without . and ..")
    return path


RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_within)]
VariantPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?._\[\]-]{1,100}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$")]
PhaseSelector = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?._-]{1,100}$")]
OutputName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,40}$")]
RefName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", max_length=255)
]
"""A ref as OSTree allows it, whose parts do not begin with a dot."""
ImageName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$",
        max_length=512,
    ),
]
"""`REGISTRY/NAME`, without tag and digest."""
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
"""OCI distribution specification 1.1, section Pulling manifests."""
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
ObjectName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\.(commit|dirtree|dirmeta|filez)$")]
ComposeType = Literal["production", "nightly", "test", "ci", "development"]
TestName = Literal["boot", "upgrade"]


class TreeFileRef(Input):
    """A file that the treefile names, or the treefile: uploaded as a blob before."""

    path: RelativePath
    sha256: Sha256Hex
    size_bytes: int = Field(ge=0)
    executable: bool = False


class ComposeOrder(Input):
    """A treefile with the files beside it, and what to make of it. Fields as of the engine's ComposeRequest."""

    treefile: RelativePath
    files: tuple[TreeFileRef, ...] = Field(min_length=1, max_length=2_000)
    variants: tuple[VariantPattern, ...] = Field((), max_length=100)
    architectures: tuple[Architecture, ...] = Field((), max_length=32)
    variables: dict[VariableName, Annotated[str, Field(max_length=10_000)]] = Field({}, max_length=200)
    outputs: tuple[OutputName, ...] | None = Field(None, max_length=20)
    tests: tuple[TestName, ...] = Field((), max_length=2)
    type: ComposeType = "development"
    label: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]+-[0-9]+(\.[0-9]+)*$", max_length=60)] | None = None
    """Such as `RC-1.0`."""
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~_-]*$", max_length=100)] | None = None
    lockfile: RelativePath | None = None
    lockfile_strict: bool = False
    skip_phases: tuple[PhaseSelector, ...] = Field((), max_length=50)
    just_phases: tuple[PhaseSelector, ...] = Field((), max_length=50)
    force: bool = False
    source_date_epoch: int | None = Field(None, ge=0, lt=2**40)

    @model_validator(mode="after")
    def _files_are_there_once(self) -> Self:
        paths = [file.path for file in self.files]
        if len(set(paths)) != len(paths):
            raise ValueError("files names a path twice")
        if self.treefile not in paths:
            raise ValueError("treefile is not among files")
        if self.lockfile is not None and self.lockfile not in paths:
            raise ValueError("lockfile is not among files")
        return self


class ComposeCreate(ComposeOrder):
    """A compose that is asked for. `name`: what people see in lists."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,99}$")]


class ComposeSummary(Output):
    """`engine_name`: the compose id that the engine gave, such as `debian-trixie-20261101.n.0`."""

    id: int
    name: str
    engine_name: str
    state: ComposeState
    type: str
    label: str | None
    owner: str
    attempt: int
    composer: str | None
    schedule: str | None = None
    failure_class: str | None
    message: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    """Of the attempt that is under way or was the last."""


class ComposePhase(Output):
    """`target` is `VARIANT.ARCHITECTURE`, empty for a phase of the whole compose."""

    phase: str
    target: str
    state: PhaseState
    step: str
    done: float
    total: float
    seconds: float
    failable: bool
    message: str
    started_at: datetime | None


class ComposeOutputFile(Output):
    path: str
    kind: str
    variant: str
    architecture: str
    sha256: str
    size_bytes: int


class ComposeCommitRef(Output):
    ref: str
    commit: str
    variant: str
    architecture: str
    version: str


class ComposeImageRef(Output):
    image: str
    digest: str
    tags: tuple[str, ...]
    variant: str


class Compose(ComposeSummary):
    order: ComposeOrder
    lease_until: datetime | None
    phases: list[ComposePhase]
    commits: list[ComposeCommitRef]
    images: list[ComposeImageRef]
    outputs: int
    """How many files there are to download."""


class ComposeRef(Output):
    id: int
    state: ComposeState


class ComposeQuery(PageQuery):
    state: ComposeState | None = None
    name: str | None = None
    owner: str | None = None
    schedule: str | None = None


class PackageChange(Output):
    """A package that differs; `before` is None if it is new, `after` if it is gone."""

    package: str
    architecture: str
    before: str | None
    after: str | None


class TargetDiff(Output):
    """What differs in one variant and architecture."""

    target: str
    packages: list[PackageChange]
    commit_before: str | None
    commit_after: str | None


class OutputChange(Output):
    path: str
    before_bytes: int | None
    after_bytes: int | None


class ComposeDiff(Output):
    before: int
    after: int
    targets: list[TargetDiff]
    outputs: list[OutputChange]


# --- composers ---------------------------------------------------------------------------------------------------


class ComposerRegister(Input):
    """A composer's registration at each start: idempotent for the same principal."""

    name: Name
    architectures: tuple[Architecture, ...] = Field(min_length=1)
    slots: int = Field(1, ge=1, le=64)
    """How many composes it runs at a time."""
    versions: dict[str, str] = Field(default_factory=dict, max_length=32)


class ComposerRegistration(Output):
    """`queue`: where its commands come."""

    name: str
    queue: str
    heartbeat_interval_s: float
    lease_s: float


class Composer(Output):
    name: str
    online: bool
    draining: bool
    architectures: tuple[str, ...]
    slots: int
    running: tuple[int, ...]
    versions: dict[str, str]
    last_heartbeat_at: datetime | None
    registered_at: datetime


class ComposeClaim(Input):
    """`POST /composes/{id}/claim`. 409 CONFLICT: another has it, or it is not wanted any more; forget the request."""

    composer: Name


class ComposeGrant(Output):
    """The compose is the composer's, as this attempt, as long as its heartbeats renew the lease."""

    compose_id: int
    attempt: int
    lease_s: float
    order: ComposeOrder
    reference: str
    """The same for each attempt: the engine's ComposeRequest.reference, by which what is begun is found again."""


class MissingObjects(Input):
    """Names of OSTree objects, such as `CHECKSUM.filez`; the answer names those that the hub lacks."""

    objects: tuple[
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\.(commit|dirtree|dirmeta|filez)$")], ...
    ] = Field(max_length=50_000)


class ObjectNames(Output):
    objects: list[str]


class ObjectsStored(Output):
    stored: int
    known: int


# --- refs and tags -----------------------------------------------------------------------------------------------


class Ref(Output):
    """A ref of the OSTree remote. `url` is what `ostree remote add` takes."""

    ref: str
    commit: str
    compose_id: int | None
    version: str
    promoted_at: datetime
    promoted_by: str
    url: str


class PromoteRef(Input):
    """Move the ref to the commit that this compose made for it.

    `expected`: the commit that it is at now, nothing if the ref is new; another is answered with 409.
    """

    compose_id: int
    expected: Sha256Hex | None = None


class RollbackRef(Input):
    """Move the ref back to `to`, or to where it was before its last promotion."""

    expected: Sha256Hex
    to: Sha256Hex | None = None


class Promotion(Output):
    """One act on a ref or on a tag (`name` is `IMAGE:TAG` then), newest first in lists."""

    id: int
    kind: Literal["ref", "tag"]
    name: str
    value: str
    previous: str | None
    compose_id: int | None
    promoted_by: str
    promoted_at: datetime
    rolled_back: bool


class PromotionQuery(PageQuery):
    kind: Literal["ref", "tag"] | None = None
    name: str | None = None


class ImageTag(Output):
    image: str
    tag: str
    digest: str
    compose_id: int | None
    promoted_at: datetime
    promoted_by: str


class PromoteTag(Input):
    """Point `IMAGE:tag` to the image that this compose pushed. `expected`: as for a ref."""

    compose_id: int
    image: ImageName
    tag: TagName
    expected: Digest | None = None


class RollbackTag(Input):
    image: ImageName
    tag: TagName
    expected: Digest
    to: Digest | None = None


# --- schedules ---------------------------------------------------------------------------------------------------


class ScheduleCreate(Input):
    """A compose that is asked for again and again: each day at a time of UTC, or at an interval."""

    name: Name
    compose: ComposeCreate
    daily_at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field((), max_length=7)
    """With `daily_at`: only on these; none: on all."""
    every_s: int | None = Field(None, ge=60, le=366 * 86400)
    enabled: bool = True

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.daily_at is None) == (self.every_s is None):
            raise ValueError("give exactly one of daily_at and every_s")
        if self.weekdays and self.daily_at is None:
            raise ValueError("weekdays go with daily_at")
        return self


class ScheduleChange(Input):
    enabled: bool


class Schedule(Output):
    name: str
    daily_at: str | None
    weekdays: tuple[str, ...]
    every_s: int | None
    enabled: bool
    owner: str
    next_at: datetime
    last_at: datetime | None
    last_compose_id: int | None
    created_at: datetime
