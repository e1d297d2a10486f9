"""One treefile for one variant and one architecture: everything merged, nothing left to decide."""

from pathlib import Path
from typing import Any, Literal

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.treefile.base import Part
from deb_bootc_compose.treefile.outputs import (
    BootloaderKind,
    DiskSettings,
    OciSettings,
    OstreeSettings,
    OutputKind,
    Registry,
)
from deb_bootc_compose.treefile.packages import BuildSettings, Initramfs, Preference, Repository, Selection, SourceBuild
from deb_bootc_compose.treefile.tree import AddedFile, Composefs, Group, IdCheck, RemovedFromPackage, User


class ResolvedTreefile(Part):
    """What phases read. Paths of files beside the treefile are relative to `directory`."""

    name: str
    variant: str
    architecture: str
    directory: Path
    """Where the outermost treefile lies."""
    files: dict[str, str] = {}
    """Every file that this came from or that it names (relative to `directory`): SHA-256."""
    custom: dict[str, Any] = {}
    """Keys that begin with `x-`, kept and exported."""

    # packages
    suite: str
    components: tuple[str, ...] = ("main",)
    mirror: str | None = None
    """None: the mirror that the host's own apt uses."""
    snapshot: str | None = None
    check_valid_until: bool = True
    keyrings: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    packages: tuple[str, ...] = ()
    """Names, or `NAME=VERSION`, `NAME/SUITE`, as apt takes them."""
    exclude_packages: tuple[str, ...] = ()
    recommends: bool = False
    preferences: tuple[Preference, ...] = ()
    debconf: tuple[Selection, ...] = ()
    dpkg_options: tuple[str, ...] = ()
    foreign_architectures: tuple[str, ...] = ()
    sources: tuple[SourceBuild, ...] = ()
    build: BuildSettings = BuildSettings()

    # kernel and boot
    kernel: str | None = None
    """Package; none: no kernel (`container: true`)."""
    initramfs: Initramfs = Initramfs()
    initramfs_args: tuple[str, ...] = ()
    no_initramfs: bool = False
    kargs: tuple[str, ...] = ()
    bootloader: BootloaderKind = BootloaderKind.GRUB
    boot_location: Literal["new", "modules"] = "modules"
    composefs: Composefs = Composefs.AUTO
    container: bool = False
    """True: a container that is not booted: no kernel, no initramfs."""

    # tree
    documentation: bool = True
    install_langs: tuple[str, ...] = ()
    locale: str = "C.UTF-8"
    timezone: str = "Etc/UTC"
    hostname: str = "debian"
    units: tuple[str, ...] = ()
    default_target: str | None = None
    machineid_compat: bool = True
    tmp_is_dir: bool = True
    opt_usrlocal: Literal["var", "root", "stateoverlay"] = "var"
    readonly_executables: bool = False
    alternatives: dict[str, str] = {}
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    os_release: dict[str, str] = {}
    """From `mutate-os-release`, variables in place but `${version}`."""
    postprocess: tuple[str, ...] = ()
    postprocess_script: str | None = None
    add_files: tuple[AddedFile, ...] = ()
    remove_files: tuple[str, ...] = ()
    remove_from_packages: tuple[RemovedFromPackage, ...] = ()
    check_passwd: IdCheck = IdCheck()
    check_groups: IdCheck = IdCheck()
    preserve_passwd: bool = True
    ignore_removed_users: tuple[str, ...] = ()
    ignore_removed_groups: tuple[str, ...] = ()
    var_policy: Literal["tmpfiles", "factory", "refuse"] = "factory"
    """What becomes of files that packages left in /var: dropped, copied at first boot, or an error."""

    # commit
    ref: str
    automatic_version_prefix: str | None = None
    metadata: dict[str, Any] = {}
    """`add-commit-metadata`."""
    ostree: OstreeSettings = OstreeSettings()

    # outputs
    outputs: tuple[OutputKind, ...] = ()
    failable: tuple[OutputKind, ...] = ()
    """Outputs that the compose may do without."""
    output_name: str = "${name}-${variant}-${version}.${architecture}"
    oci: OciSettings = OciSettings()
    registry: Registry = Registry()
    disk: DiskSettings = DiskSettings()
    phase_timeouts_s: dict[str, float] = {}

    @property
    def digest(self) -> str:
        """Of all that decides what is made, wherever the treefile lies."""
        return digest_of(self.model_dump(mode="json", exclude={"directory"}))
