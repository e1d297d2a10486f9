"""What the engine is asked and what it answers, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from deb_mock.installed import ExactVersion, InstalledPackage
from deborch_shared.ids import Sha256
from deborch_shared.sandbox.spec import Bind, Limits
from deborch_shared.sandbox.usage import ResourceUse

LogSink = Callable[[bytes], None]
StageSink = Callable[["Stage", float], None]
"""Called when a stage begins, with the seconds since the build began."""
SampleSink = Callable[["Stage", ResourceUse], None]
"""Called once a second while a command runs, with what the stage has used so far."""
BuildMode = Literal["any+all", "any", "all", "source", "full"]
"""dpkg-buildpackage's -b, -B, -A, -S and -F."""
Resolver = Literal["apt", "aspcud"]

BUILD_USER = "builder"
BUILD_UID = 59_000
"""Inside. High enough to be no user of the host where ids cannot be mapped, below 60000 as Policy 9.2 asks."""
MAIN_ONLY: tuple[str, ...] = ("main",)
_DEFAULT_LOG_LIMIT_BYTES = 256 << 20
_DEFAULT_TIMEOUT_S = 6 * 3600.0


class Stage(StrEnum):
    """The parts of a build, in order."""

    SOURCE = "source"
    BASE = "base"
    DEPENDENCIES = "dependencies"
    BUILDROOT = "buildroot"
    UNPACK = "unpack"
    BUILD = "build"
    COLLECT = "collect"
    CHECK = "check"
    """Only if there are plug-ins that check."""


class ArtifactKind(StrEnum):
    """What a file that comes out of a build is."""

    DEB = "deb"
    UDEB = "udeb"
    DDEB = "ddeb"
    CHANGES = "changes"
    BUILDINFO = "buildinfo"
    LOG = "log"
    REPORT = "report"
    OTHER = "other"


class CheckStatus(StrEnum):
    """What a check of results comes to."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


class CacheKind(StrEnum):
    """What the cache directory holds."""

    LAYER = "layer"
    BASE = "base"
    DEB = "deb"
    SOURCES = "sources"
    CCACHE = "ccache"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True, slots=True)
class ExtraRepository:
    """An APT repository beside the Debian suite: one deb822 stanza (sources.list(5)), its key in Signed-By.

    URIs may be http(s): or file:; directories of file: URIs are shown in the buildroot, read-only.
    """

    name: str
    deb822: str
    pin: str = ""
    """If set, packages that it selects (apt_preferences(5)) win over all others, whatever their version."""


@dataclass(frozen=True, slots=True)
class ChangedVersion:
    """Binary packages of another version than their source: a binNMU, a backport rebuilt for a derivative, ..."""

    maintainer: str
    """`Name <address>` for the changelog entry."""
    timestamp_s: int
    """Seconds since the epoch, of the changelog entry and so of everything in the packages."""
    binnmu: int | None = None
    """N of +bN."""
    append: str = ""
    """What else is added to the version."""
    text: str = ""
    """What changed, for the changelog."""
    entry: str = ""
    """The whole changelog entry, to repeat a build; empty: it is made of the rest."""


@dataclass(frozen=True, slots=True)
class ExactSet:
    """Versions to build with, and whether another version will do where one cannot be had."""

    packages: tuple[ExactVersion, ...]
    or_nearest: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a build sees around it that should make no difference to its results."""

    build_path: str = ""
    """Of the unpacked source; with a slash at its end NAME-VERSION is added; empty: /build/NAME-VERSION."""
    hostname: str = "buildroot"
    user: str = BUILD_USER
    uid: int = BUILD_UID
    umask: int = 0o022
    cpus: tuple[int, ...] = ()
    """Processors to run on; empty: all."""
    locale: str = ""
    """Such as fr_CH.UTF-8, made by localedef; empty: C.UTF-8."""
    clock_shift_s: int = 0
    """How far the clock that the build sees is ahead, by libfaketime."""
    on_disk: bool = False
    """True: the build's files are on disk even if others have theirs in memory."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the build's own variables, or replacing them."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One build."""

    build_id: str
    """Names the buildroot; letters, digits and - . _ only."""
    dsc: Path
    source_dir: Path
    """Where the files that the .dsc lists are."""
    suite: str
    architecture: str
    result_dir: Path
    """Must not exist, or be empty; it appears at once and whole."""
    merge_results: bool = False
    """True: `result_dir` may have files; those of the build are added one by one, the .changes last."""
    failed_dir: Path | None = None
    """Where log and report of a build that does not succeed are kept, beside those of others; None: nowhere."""
    mode: BuildMode = "any+all"
    host_architecture: str | None = None
    """What the packages are for, if not for `architecture`, which the build runs on: a cross build."""
    changed_version: ChangedVersion | None = None
    extra_sources: tuple[ExtraRepository, ...] = ()
    parallel: int = 1
    timeout_s: float = _DEFAULT_TIMEOUT_S
    log_limit_bytes: int = _DEFAULT_LOG_LIMIT_BYTES
    profiles: tuple[str, ...] = ()
    build_options: tuple[str, ...] = ()
    """Words for DEB_BUILD_OPTIONS, such as nocheck."""
    dpkg_options: tuple[str, ...] = ()
    """More options for dpkg-buildpackage."""
    add_depends: tuple[str, ...] = ()
    """Relations that are met beside those of the source; in Build-Depends syntax."""
    add_conflicts: tuple[str, ...] = ()
    first_alternative: bool = False
    """Of `a | b` only a may be installed, as on Debian's own builders."""
    resolver: Resolver = "apt"
    components: tuple[str, ...] = MAIN_ONLY
    """Of the suite, for build dependencies."""
    surroundings: Surroundings = field(default_factory=Surroundings)
    exact: ExactSet | None = None
    """If set, these are installed instead of what apt would choose for the build dependencies."""
    limits: Limits | None = None
    """Of each that is given and the engine's the stricter counts."""
    log_idle_s: float | None = None
    """A command that writes nothing for longer is ended; None: it may be silent."""
    network: bool = False
    """Let the build see the host's network, if the engine's policy allows it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in the result directory."""

    name: str
    path: Path
    sha256: Sha256
    size_bytes: int
    kind: ArtifactKind


@dataclass(frozen=True, slots=True)
class StageTime:
    """What a stage cost. CPU time is that of the programs run in it."""

    stage: Stage
    wall_s: float
    cpu_s: float
    use: ResourceUse = field(default_factory=ResourceUse)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of the results came to."""

    name: str
    status: CheckStatus
    gating: bool
    """Whether a failure ends the build."""
    summary: str
    findings: tuple[str, ...]
    report: str | None
    """Name of the artifact with the whole report."""
    wall_s: float
    failure_class: str
    """Of the build that it ends."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A build that succeeded; one that did not raises."""

    source: str
    version: str
    artifacts: tuple[Artifact, ...]
    stages: tuple[StageTime, ...]
    dependency_cache: Literal["hit", "miss"]
    checks: tuple[CheckResult, ...] = ()
    installed: tuple[InstalledPackage, ...] = ()
    """What was in the buildroot when the build began."""
    missing_versions: tuple[str, ...] = ()
    """Of `BuildRequest.exact`, what could not be had."""
    in_memory: bool = False
    """Whether the build's files were; else they were on disk."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A source package of a suite: `version` None takes the newest."""

    fetch_id: str
    name: str
    version: str | None
    suite: str
    architecture: str
    result_dir: Path
    timeout_s: float = 600.0
    components: tuple[str, ...] = MAIN_ONLY


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """A source package made of an unpacked tree."""

    request_id: str
    tree: Path
    suite: str
    architecture: str
    result_dir: Path
    clean: bool = True
    """Whether debian/rules clean is run first, on the copy."""
    extra_sources: tuple[ExtraRepository, ...] = ()
    components: tuple[str, ...] = MAIN_ONLY
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A source package that was fetched and verified by apt, or made of a tree."""

    name: str
    version: str
    dsc: Path
    files: tuple[Path, ...]
    """Without the .dsc."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command in a clean buildroot that is thrown away after."""

    command_id: str
    argv: tuple[str, ...]
    suite: str
    architecture: str
    extra_sources: tuple[ExtraRepository, ...] = ()
    """Known to apt inside, not read yet."""
    network: bool = False
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A buildroot to work in by hand."""

    session_id: str
    suite: str
    architecture: str
    components: tuple[str, ...] = MAIN_ONLY
    name: str | None = None
    """Of one that is kept, which says itself what it is made of; None: a clean one that is thrown away after."""
    extra_sources: tuple[ExtraRepository, ...] = ()
    """Known to apt inside, not read yet."""
    binds: tuple[Bind, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedBuildroot:
    """A buildroot that is kept between commands."""

    name: str
    suite: str
    architecture: str
    components: tuple[str, ...]
    base: str
    """Name of the base that it was made from, which need not be there any more."""
    ids: str
    """Names the ids that its files have."""
    made_at_s: float
    """Seconds since the epoch."""
    directory: Path


@dataclass(frozen=True, slots=True)
class Base:
    """A cached base image."""

    name: str
    suite: str
    architecture: str
    directory: Path
    made_at_s: float
    """Seconds since the epoch."""
    components: tuple[str, ...] = MAIN_ONLY
    recipe: str = ""
    """Digest of everything that made it but the state of the archive."""
    release: str = ""
    """State of the archive (`release.state_of`); empty if the archive has no InRelease."""
    tree: str = ""
    """The base whose files this one shares: itself, or that of which it is a later generation with new lists."""
    tree_made_at_s: float = 0.0
    bootstrapped: bool = False
    """Made by the suite's own apt and dpkg."""
    size_bytes: int = 0
    count: int = 0
    """Files and directories in it, and `length_bytes` of the files together."""
    length_bytes: int = 0
    boot_id: str = ""
    """The start of the machine in which it was last seen whole."""

    @property
    def root(self) -> Path:
        return self.directory / "root"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` removed."""

    sandboxes: tuple[str, ...]
    half_made_bases: tuple[str, ...]
    half_made_layers: tuple[str, ...] = ()
