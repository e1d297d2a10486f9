"""Where packages come from and how they are chosen."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from deb_bootc_compose.treefile.base import Part


class Repository(Part):
    """One APT repository beside the suite: deb822 fields, or a target of our own hub by name."""

    name: str
    uris: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    signed_by: str | None = None
    """A keyring file, relative to the treefile, or the armoured key itself."""
    target: str | None = None
    """An archive of the hub, instead of `uris`."""
    snapshot: str | None = None
    """Date of a snapshot service, such as `20261120T000000Z`, put in place of `{snapshot}` in `uris`."""
    check_valid_until: bool = True


class Preference(Part):
    """A stanza of apt_preferences(5)."""

    package: str
    pin: str
    pin_priority: int


class Selection(Part):
    """`debconf-set-selections` in parts."""

    package: str
    question: str
    type: Literal["string", "boolean", "select", "multiselect", "note", "text", "password"]
    value: str


class SourceBuild(Part):
    """A source package that is built for this compose."""

    source: str
    """`NAME`, `NAME=VERSION` from the suite, or a .dsc file relative to the treefile."""
    target: str | None = None
    """Target of the hub that builds it; none: the one in `build`."""


class BuildSettings(Part):
    """Who builds what is in `sources`, and which sources of a target are looked at."""

    target: str | None = None
    lagging: bool = False
    """Also build the sources of `target` that are newer than their binary packages."""
    timeout_s: float = Field(default=6 * 3600.0, gt=0)


class InitramfsGenerator(StrEnum):
    """Who makes the initramfs."""

    DRACUT = "dracut"
    INITRAMFS_TOOLS = "initramfs-tools"


class Initramfs(Part):
    """How the initramfs is made; `initramfs-args` go to the generator as they are."""

    generator: InitramfsGenerator = InitramfsGenerator.DRACUT
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
    omit_modules: tuple[str, ...] = ()
    compress: str = "zstd -3 -T0"
