"""Every key of a configuration: type, default, meaning. The reference and the schema come from here."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from deb_mock.configuration.quantities import Duration, Size
from deb_mock.engine_config import DEFAULT_KEYRING, Bootstrap, SignaturePolicy
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deborch_shared.sandbox.spec import Backend, Filtering

_DAY_S = 86_400.0


class Section(BaseModel):
    """What all parts of a configuration have in common: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _off(value: object) -> object:
    """YAML reads `off` as false."""
    return "off" if value is False else value


def _path_alone(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


def _name_alone(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class SourcePolicy(Section):
    """What is asked of a source package."""

    keyring: Path | None = Field(None, description="If set, each .dsc is asked for a signature by a key in it.")
    signature: Annotated[SignaturePolicy, BeforeValidator(_off)] = Field(
        SignaturePolicy.REQUIRE, description="With a keyring: what its lack means."
    )
    orig_signature: Annotated[SignaturePolicy, BeforeValidator(_off)] = Field(
        SignaturePolicy.OFF, description="The same for original tarballs, by upstream's key in the package."
    )


class Cache(Section):
    """What is kept, and for how long."""

    check_interval: Duration = Field(600.0, ge=0, description="How long a base is used without asking the archive.")
    rebuild_after: Duration = Field(7 * _DAY_S, gt=0, description="A base older than this is made again, not updated.")
    generations: int = Field(2, ge=1, description="Bases of one kind that are kept.")
    unused_after: Duration = Field(30 * _DAY_S, gt=0, description="What no build has used for so long is removed.")
    size: Size | None = Field(None, ge=0, description="Above this the longest unused is removed; unset: no limit.")
    free_space: Size = Field(2 << 30, ge=0, description="With less free on the disk the longest unused is removed.")
    bootstrap: Bootstrap = Field(
        Bootstrap.AUTO, description="Make bases by the suite's own apt and dpkg: auto where the host's are too old."
    )


class Limits(Section):
    """Where a build is ended. What is unset is bounded by the machine's size, or not at all."""

    wall: Duration = Field(6 * 3600.0, gt=0, description="Time that a build may take.")
    log_size: Size = Field(256 << 20, gt=0, description="Log that a build may write.")
    log_idle: Duration | None = Field(None, gt=0, description="A command that is silent for longer is ended.")
    memory: Size | None = Field(None, gt=0, description="Of everything in a buildroot, files in memory among it.")
    cpus: float | None = Field(None, gt=0, description="CPU seconds in a second.")
    pids: int | None = Field(None, gt=0, description="Processes and threads.")
    read_rate: Size | None = Field(None, gt=0, description="Bytes a second from the disk.")
    write_rate: Size | None = Field(None, gt=0, description="Bytes a second to the disk.")


class Isolation(Section):
    """What keeps a build from the machine, beside namespaces and ids."""

    seccomp: Annotated[Filtering, BeforeValidator(_off)] = Field(
        Filtering.REQUIRED, description="Filter of system calls: required, preferred (go on without), or off."
    )
    nested_namespaces: bool = Field(False, description="Builds may make user namespaces of their own.")


class Build(Section):
    """How packages are built, unless a command says otherwise."""

    jobs: int | None = Field(None, ge=1, description="Parallel jobs; unset: as many as the machine has processors.")
    profiles: tuple[str, ...] = Field((), description="Build profiles, such as nodoc.")
    options: tuple[str, ...] = Field((), description="Words for DEB_BUILD_OPTIONS, such as nocheck.")
    resolver: Literal["apt", "aspcud"] = Field("apt", description="Who decides what is installed.")
    first_alternative: bool = Field(False, description="Of a | b install only a, as Debian's own builders do.")
    path: str = Field(
        "", description="Where sources are unpacked inside; DIR/ adds NAME-VERSION; unset: /build/NAME-VERSION."
    )


class Network(Section):
    """Who may have the host's network in a buildroot, if it is asked for. Downloads by apt are always possible."""

    builds: Literal["never", "on-request"] = Field("never", description="Builds; the log says it if one has.")
    commands: Literal["never", "on-request"] = Field("on-request", description="shell and exec, by --network.")


class Ids(Section):
    """Ids of the host that stand for those inside a buildroot. No user of the host may own any of them."""

    first: int = Field(1_900_000_000, ge=1, le=4_294_901_760)


class BindRule(Section):
    """A directory of the host that commands may ask to see inside a buildroot, with everything below it."""

    path: Path = Field(description="Absolute path.")
    write: bool = Field(False, description="Whether it may be written from inside.")


class Plugin(Section):
    """One plug-in."""

    name: str = Field(min_length=1)
    enabled: bool = True
    required: bool = Field(True, description="Whether its failure ends the build.")
    options: dict[str, Any] = Field(default_factory=dict, description="Checked by the plug-in itself.")


class Settings(Section):
    """A whole configuration."""

    suite: str = Field("", description="Suite to build for; unset: the host's own.")
    architecture: str = Field("", description="Architecture that builds; unset: the host's own.")
    distribution: Literal["debian", "ubuntu"] = Field("debian", description="Whose archive the suite is in.")
    architectures: tuple[str, ...] = Field((), description="Architectures that the suite has; none: not checked.")
    components: tuple[str, ...] = Field(("main",), min_length=1, description="Parts of the archive to build with.")
    pockets: tuple[Literal["updates", "security", "backports", "proposed-updates"], ...] = Field(
        (), description="SUITE-POCKET is used beside the suite, where there is an archive for it."
    )
    mirror: str | None = Field(None, description="URI of the archive; unset: what the host's apt sources say.")
    security_mirror: str | None = Field(
        None, description="URI of the archive with SUITE-security, if it is not `mirror` (Debian's never is)."
    )
    keyring: Path = Field(DEFAULT_KEYRING, description="Keys that must have signed the suites.")
    keyring_package: str = Field("debian-archive-keyring", description="Package that holds the keyring.")
    repositories: tuple[Path, ...] = Field(
        (), description="More archives: deb822 .sources files with their keys in Signed-By."
    )
    snapshot: str = Field(
        "", description="URI of an archive with old versions, for rebuild; {timestamp} becomes the date of the build."
    )
    source: SourcePolicy = SourcePolicy()
    state_dir: Path = Field(DEFAULT_STATE_DIR, description="Buildroots; on a disk that overlayfs can write to.")
    cache_dir: Path = Field(DEFAULT_CACHE_DIR, description="Bases and layers; the same kind of disk.")
    result_dir: Path | None = Field(None, description="Results go to NAME_VERSION_result in it; unset: here.")
    tmpfs: Annotated[Literal["auto", "off"] | Size, BeforeValidator(_off)] = Field(
        "auto", description="Memory for the files of a build: auto by size and free memory, off (disk), or a size."
    )
    ids: Annotated[Literal["off"] | Ids, BeforeValidator(_off)] = Field(
        Ids(), description="Ids of the host for buildroots; off: no user namespace."
    )
    backend: Backend = Field(
        Backend.NAMESPACES, description="Who isolates: namespaces (own), bwrap (bubblewrap) or nspawn (systemd-nspawn)."
    )
    network: Network = Network()
    binds: tuple[Annotated[BindRule, BeforeValidator(_path_alone)], ...] = Field(
        (), description="Directories of the host that commands may show inside a buildroot."
    )
    limits: Limits = Limits()
    isolation: Isolation = Isolation()
    build: Build = Build()
    cache: Cache = Cache()
    plugins: tuple[Annotated[Plugin, BeforeValidator(_name_alone)], ...] = Field(
        (), description="Plug-ins in the order in which they are called."
    )
