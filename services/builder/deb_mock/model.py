"""What the engine is asked and what it answers, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from deb_mock.installed import ExactVersion, InstalledPackage
from deborch_shared.ids import Sha256
from deborch_shared.sandbox.spec import Backend, Bind, Filtering, IdRange, Limits
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
DEFAULT_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DAY_S = 86_400.0
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


class SignaturePolicy(StrEnum):
    """What a missing or bad signature means."""

    OFF = "off"
    WARN = "warn"
    REQUIRE = "require"


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


@dataclass(frozen=True, slots=True)
class PluginSetting:
    """What the configuration says of one plug-in."""

    name: str
    enabled: bool = True
    required: bool = True
    """Whether a failure of the plug-in ends the build; otherwise it is logged, and the plug-in left out of the rest."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Checked against the plug-in's own model."""


class Scratch(StrEnum):
    """Where the files of a build are meanwhile."""

    AUTO = "auto"
    TMPFS = "tmpfs"
    DISK = "disk"


class Bootstrap(StrEnum):
    """Whether a base is made by the suite's own apt and dpkg instead of the host's."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class CacheKind(StrEnum):
    """What the cache directory holds."""

    LAYER = "layer"
    BASE = "base"
    DEB = "deb"
    SOURCES = "sources"
    CCACHE = "ccache"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True, slots=True)
class ArchiveChoice:
    """Whose archive suites are read from, and which suites come with each."""

    distribution: Literal["debian", "ubuntu"] = "debian"
    pockets: tuple[str, ...] | None = None
    """SUITE-POCKET is used beside each suite; None: updates and security of the host's own suite, if the host does."""
    security_mirror: str | None = None
    """Where SUITE-security is, if a mirror is given and does not have it."""
    keyring_package: str = "debian-archive-keyring"
    """For messages."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of an engine. Several engines and processes may share both directories."""

    state_dir: Path
    """Buildroots in use; on a disk that overlayfs can write to."""
    cache_dir: Path
    """Bases and dependency layers; the same kind of disk. Everything in it can be made again."""
    mirror: str | None = None
    """URI of the archive; None: what the host's own apt sources say."""
    archive: ArchiveChoice = field(default_factory=ArchiveChoice)
    keyring: Path = DEFAULT_KEYRING
    """Keys that must have signed the suites."""
    source_keyring: Path | None = None
    """If set, each .dsc is asked for a good signature by a key in it."""
    dsc_signature: SignaturePolicy = SignaturePolicy.REQUIRE
    """What it means if there is none."""
    orig_signature: SignaturePolicy = SignaturePolicy.OFF
    """The same for original tarballs and upstream's key in the package."""
    tmpfs_bytes: int | None = None
    """Memory for the files of one build; None: they are written to the disk of `state_dir`."""
    scratch: Scratch = Scratch.AUTO
    """With `tmpfs_bytes`: AUTO uses memory if earlier builds of the source fitted and enough is free."""
    ids: IdRange | None = field(default_factory=lambda: IdRange(first=1_900_000_000))
    """Host ids for everything inside buildroots, of no user of the host; None: no user namespaces. Where the kernel
    or file system cannot map ids, the engine does without and says so in the log. The default lies above the ranges
    that systemd (UIDS-GIDS.md) and subuid(5) give out."""
    base_check_interval_s: float = 600.0
    """How long an answer to "has the archive changed?" is good for; meanwhile a warm start asks nobody."""
    base_max_age_s: float = 7 * _DAY_S
    """A tree older than this is made again when the archive changes, instead of getting new package lists. An archive
    without InRelease cannot be asked, so its bases are made again at this age anyway."""
    keep_generations: int = 2
    """Bases of one recipe that are kept: the newest, and those before it that running builds may still want."""
    bootstrap: Bootstrap = Bootstrap.AUTO
    """AUTO: where the host's are older than `bootstrap.NEEDED` says for the suite."""
    unused_max_age_s: float = 30 * _DAY_S
    """Bases, layers and .debs that no build has used for so long are removed."""
    cache_max_bytes: int | None = None
    """Above this, the longest unused is removed; None: as much as the disk has."""
    free_space_floor_bytes: int = 2 << 30
    """With less than this free on the disk of `cache_dir`, the longest unused is removed."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Proxy variables (`http_proxy`, ...) for steps that use the network."""
    plugins: tuple[PluginSetting, ...] = ()
    """In the order in which they are called; of two of one name the later counts."""
    limits: Limits | None = None
    """Of each buildroot; None: by the machine's size, for one build at a time."""
    network_allowed: bool = False
    """Whether builds that ask for the network get it."""
    backend: Backend = Backend.NAMESPACES
    """Who isolates the commands of buildroots."""
    filtering: Filtering = Filtering.REQUIRED
    """Of system calls, by seccomp."""
    nested_namespaces: bool = False
    """Builds may make user namespaces of their own, and mount in them."""

    @property
    def sandboxes_dir(self) -> Path:
        return self.state_dir / "sandboxes"

    @property
    def bases_dir(self) -> Path:
        return self.cache_dir / "bases"

    @property
    def bootstraps_dir(self) -> Path:
        return self.cache_dir / "bootstraps"

    @property
    def debs_dir(self) -> Path:
        return self.cache_dir / "debs"

    @property
    def layers_dir(self) -> Path:
        return self.cache_dir / "layers"


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
