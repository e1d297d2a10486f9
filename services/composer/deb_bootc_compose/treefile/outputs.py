"""What comes out of a tree: OSTree commit, container image, disks, and how each is named and signed."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from deb_bootc_compose.treefile.base import Part


class OutputKind(StrEnum):
    """Each is made by the phase `output.KIND`."""

    OCIARCHIVE = "ociarchive"
    REGISTRY = "registry"
    RAW = "raw"
    QCOW2 = "qcow2"
    TAR = "tar"
    ISO = "iso"


class OstreeMode(StrEnum):
    """Mode of the repository that clients pull from."""

    ARCHIVE = "archive"
    BARE = "bare"
    BARE_USER = "bare-user"


class Deltas(Part):
    """Static deltas from commits before."""

    from_parents: int = Field(default=1, ge=0, le=16)
    """How many commits back; 0: none."""


class OstreeSettings(Part):
    """The commit and the repository that it is published in."""

    ref: str | None = None
    """Instead of the key `ref`; may use `${variant}`, `${architecture}`, `${suite}` and variables."""
    repo: str | None = None
    """A directory; none: the one of the state directory."""
    mode: OstreeMode = OstreeMode.ARCHIVE
    """Of that repository."""
    sign: str | None = None
    """Fingerprint of the OpenPGP key that signs commits and summary."""
    deltas: Deltas = Deltas()
    """Static deltas from commits before."""
    keep: int = Field(default=10, ge=1)
    """Commits of the ref that `gc` leaves."""
    collection_id: str | None = None
    """Of the published repository."""


class OciSettings(Part):
    """The container image."""

    name: str | None = None
    """Repository name, such as `registry.example/debian/minimal`; none: the compose's and the variant's name."""
    tags: tuple[str, ...] = ("latest",)
    """Moved when the compose is promoted; the version is always a tag."""
    max_layers: int = Field(default=32, ge=4, le=127)
    """The most that the tree is split into."""
    compression: Literal["gzip", "zstd"] = "gzip"
    """Of the layers."""
    level: int = Field(default=6, ge=1, le=19)
    """Of compression."""
    labels: dict[str, str] = {}
    """Beside those of bootable containers."""
    sign: str | None = None
    """A cosign-compatible private key file."""
    cmd: tuple[str, ...] = ("/sbin/init",)
    """What runs in a container of it."""


class Registry(Part):
    """Where images are pushed."""

    url: str | None = None
    """`host[:port]/path`; none: only the archive is made."""
    tls_verify: bool = True
    """False: plain HTTP and unknown certificates are taken too."""
    credentials: str | None = None
    """An auth.json file as podman and skopeo read it."""


class DiskSettings(Part):
    """Raw and qcow2 disks."""

    size_mib: int | None = Field(default=None, ge=256)
    """None: what the tree needs, and `free_mib`."""
    free_mib: int = Field(default=512, ge=64)
    """Beside what the tree needs."""
    filesystem: Literal["ext4"] = "ext4"
    """Of the root."""
    esp_mib: int = Field(default=64, ge=33)
    """Size of the EFI system partition."""
    bios: bool = True
    """Also bootable without UEFI, where the architecture has that."""
    root_password_empty: bool = False
    """For tests on a console only: everyone who reaches the console is root."""


class BootloaderKind(StrEnum):
    """What the firmware starts."""

    GRUB = "grub"
    NONE = "none"
