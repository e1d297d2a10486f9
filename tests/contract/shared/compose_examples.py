"""One example of each event on composes, with no field at its default."""

from deborch_shared.events import EventData
from deborch_shared.events.composes import (
    CancelCompose,
    ComposeCanceled,
    ComposeCommit,
    ComposeDone,
    ComposeFailed,
    ComposeFinished,
    ComposeImage,
    ComposeOutput,
    ComposePhaseChanged,
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeProgress,
    ComposeReleased,
    ComposeRequested,
    ComposerHeartbeat,
    ComposeRunning,
    ComposeStarted,
    ImageTagged,
    PlannedPhase,
    RefPromoted,
    RunningCompose,
    RunningPhase,
)

_REF, _TARGET = "debian/trixie/amd64/minimal", "minimal.amd64"
_OF = {"compose_id": 7, "attempt": 2}
_REPORT = {**_OF, "composer": "c1"}

COMPOSE_EXAMPLES: tuple[EventData, ...] = (
    ComposeRequested(
        **_OF,
        name="minimal",
        owner="key:4f1c",
        order={
            "treefile": "minimal.yaml",
            "files": [{"path": "minimal.yaml", "sha256": "ab" * 32, "size_bytes": 812, "executable": False}],
            "variants": ["minimal"],
        },
    ),
    ComposeRunning(**_OF, composer="c1"),
    ComposePhaseChanged(**_OF, phase="ostree", target=_TARGET, state="failed", seconds=12.5, message="no space left"),
    ComposeProgress(**_OF, phase="gather", target=_TARGET, step="download", done=40.0, total=170.0),
    ComposeFinished(**_OF, incomplete=True),
    ComposeFailed(**_OF, failure_class="resolve", message="there is no package nosuch"),
    ComposeCanceled(**_OF),
    RefPromoted(ref=_REF, commit="cd" * 32, previous="ef" * 32, compose_id=7, by="key:4f1c", rolled_back=True),
    ImageTagged(
        image="registry.example.org/debian",
        tag="trixie",
        digest=f"sha256:{'cd' * 32}",
        previous=f"sha256:{'ef' * 32}",
        compose_id=7,
        by="key:4f1c",
        rolled_back=True,
    ),
    ComposeStarted(
        **_REPORT,
        name="minimal-13-20261101.d.0",
        phases=(PlannedPhase(phase="init", target=""), PlannedPhase(phase="gather", target=_TARGET)),
        resumed=True,
    ),
    ComposePhaseStarted(**_REPORT, phase="gather", target=_TARGET, tries=2),
    ComposePhaseDone(
        **_REPORT,
        phase="test.boot",
        target=_TARGET,
        state="failed",
        seconds=61.5,
        failable=True,
        failure_class="boot",
        message="the disk did not reach its target",
    ),
    ComposeDone(
        **_REPORT,
        outcome="finished_incomplete",
        seconds=181.25,
        failure_class="boot",
        message="test.boot failed",
        outputs=(
            ComposeOutput(
                path="minimal/amd64/images/minimal.oci.tar",
                kind="ociarchive",
                variant="minimal",
                architecture="amd64",
                sha256="12" * 32,
                size_bytes=104857600,
            ),
        ),
        commits=(
            ComposeCommit(ref=_REF, commit="cd" * 32, variant="minimal", architecture="amd64", version="13.20261101"),
        ),
        images=(
            ComposeImage(
                image="registry.example.org/debian", digest=f"sha256:{'cd' * 32}", tags=("trixie",), variant="minimal"
            ),
        ),
    ),
    ComposeReleased(**_REPORT, reason="the composer stops"),
    ComposerHeartbeat(
        composer="c1",
        draining=True,
        running=(
            RunningCompose(
                **_OF,
                phases=(RunningPhase(phase="gather", target=_TARGET, step="download", done=40.0, total=170.0),),
            ),
        ),
    ),
    CancelCompose(**_OF, lost=True),
)
