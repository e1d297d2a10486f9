"""What is asked of a compose."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from deb_bootc_compose.treefile.outputs import OutputKind


class ComposeType(StrEnum):
    """As Pungi has them; the letter goes into the compose id."""

    PRODUCTION = "production"
    NIGHTLY = "nightly"
    TEST = "test"
    CI = "ci"
    DEVELOPMENT = "development"


class ComposeStatus(StrEnum):
    """What the file STATUS of a compose says, in Pungi's words."""

    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FINISHED_INCOMPLETE = "FINISHED_INCOMPLETE"
    """A failable output is missing."""
    DOOMED = "DOOMED"
    """It failed, and `resume` may go on with it."""
    TERMINATED = "TERMINATED"
    """Canceled."""


class TestKind(StrEnum):
    """What `--test` may ask for."""

    BOOT = "boot"
    UPGRADE = "upgrade"
    """Boot, then the upgrade to this compose from the one before, and the rollback."""


class ComposeRequest(BaseModel):
    """One call of `compose`. Kept in the compose's directory, for `resume`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    treefile: Path
    variants: tuple[str, ...] = ()
    """Names or patterns; none: all."""
    architectures: tuple[str, ...] = ()
    """Names or patterns; none: this machine's, or all of the treefile if it is not for that."""
    variables: dict[str, str] = {}
    allowed: tuple[Path, ...] = ()
    """Directories beside that of the treefile whose files it may name."""
    outputs: tuple[OutputKind, ...] | None = None
    """Instead of the treefile's."""
    tests: frozenset[TestKind] = frozenset()
    type: ComposeType = ComposeType.DEVELOPMENT
    label: str | None = None
    """Such as `RC-1.0`."""
    lockfile: Path | None = None
    lockfile_strict: bool = False
    """Nothing may be in the tree that the lock file does not name."""
    skip_phases: tuple[str, ...] = ()
    just_phases: tuple[str, ...] = ()
    force: bool = False
    """Run phases whose record is there already."""
    fail_fast: bool = False
    """End everything when one phase fails that the compose cannot do without."""
    workers: int = Field(default=2, ge=1, le=64)
    sign: bool = True
    promote: bool = True
    """False: everything is made and checked, no ref and no tag moves."""
    parent: str | None = None
    """Commit that the ref has to be at; none: whatever it is at when the compose begins."""
    version: str | None = None
    """None: from `automatic-version-prefix`, or the date."""
    source_date_epoch: int | None = Field(default=None, ge=0)
    """For what needs a time; none: when the compose began."""
    reference: str | None = None
    """What whoever asks calls this compose, to find it again after a crash."""
