"""Where packages come from and how they are chosen."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from deb_bootc_compose.treefile.base import Part


class Repository(Part):
    """One APT repository beside the suite: deb822 fields, or a target of our own hub by name."""

    name: str
    """By which it is overridden and named elsewhere."""
    uris: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    """None for a flat repository, whose suite ends in `/`."""
    signed_by: str | None = None
    """A keyring file, relative to the treefile, or the armoured key itself."""
    target: str | None = None
    """An archive of the hub, instead of `uris`."""
    snapshot: str | None = None
    """Date of a snapshot service, such as `20261120T000000Z`, put in place of `{snapshot}` in `uris`."""
    check_valid_until: bool = True
    """False: its Release file may be older than it says it is good for."""

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if bool(self.uris) == bool(self.target):
            raise ValueError("either uris or target is needed")
        if self.uris and not self.suites:
            raise ValueError("suites are needed beside uris")
        return self


class RepositoryPackages(Part):
    """Packages that have to come from one repository."""

    repo: str
    """Name of one of `repositories`."""
    packages: tuple[str, ...] = Field(min_length=1)


class Preference(Part):
    """A stanza of apt_preferences(5)."""

    package: str
    """Names or patterns, separated by spaces."""
    pin: str
    """Such as `release n=trixie-backports` or `version 1.2*`."""
    pin_priority: int


class Selection(Part):
    """`debconf-set-selections` in parts."""

    package: str
    """Its owner."""
    question: str
    """Such as `tzdata/Areas`."""
    type: Literal["string", "boolean", "select", "multiselect", "note", "text", "password"]
    """Of the question."""
    value: str
    """The answer."""


class SourceBuild(Part):
    """A source package that is built for this compose."""

    source: str
    """`NAME`, `NAME=VERSION` from the suite, or a .dsc file relative to the treefile."""
    target: str | None = None
    """Target of the hub that builds it; none: the one in `build`."""


class BuildSettings(Part):
    """Who builds what is in `sources`, and which sources of a target are looked at."""

    target: str | None = None
    """Of the hub."""
    lagging: bool = False
    """Also build the sources of `target` that are newer than their binary packages."""
    timeout_s: float = Field(default=6 * 3600.0, gt=0)
    """How long one build is waited for."""


class InitramfsGenerator(StrEnum):
    """Who makes the initramfs."""

    DRACUT = "dracut"
    INITRAMFS_TOOLS = "initramfs-tools"


class Initramfs(Part):
    """How the initramfs is made; `initramfs-args` go to the generator as they are."""

    generator: InitramfsGenerator = InitramfsGenerator.DRACUT
    """Its package has to be among `packages`."""
    modules: tuple[str, ...] = ()
    """Beside `ostree` and `systemd`."""
    drivers: tuple[str, ...] = (
        "virtio_blk",
        "virtio_scsi",
        "virtio_pci",
        "virtio_net",
        "ext4",
        "vfat",
        "overlay",
        "erofs",
    )
    """Kernel modules that are in it whatever machine it is made on."""
    omit_modules: tuple[str, ...] = ()
    """Of the generator."""
    compress: str = "zstd -3 -T0"
    """Command that compresses it."""
