"""Settings of an engine, as data, with their defaults. How people write them down is `configuration`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from deborch_shared.sandbox.spec import Backend, Filtering, IdRange, Limits

DEFAULT_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DAY_S = 86_400.0


class SignaturePolicy(StrEnum):
    """What a missing or bad signature means."""

    OFF = "off"
    WARN = "warn"
    REQUIRE = "require"


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
