"""What every part of a treefile may say of a tree: packages, boot, tree, commit, outputs."""

from typing import Annotated, Any, Literal

from pydantic import Field

from deb_bootc_compose.treefile.base import Part
from deb_bootc_compose.treefile.outputs import (
    BootloaderKind,
    DiskSettings,
    OciSettings,
    OstreeSettings,
    OutputKind,
    Registry,
)
from deb_bootc_compose.treefile.packages import (
    BuildSettings,
    Initramfs,
    Preference,
    Repository,
    RepositoryPackages,
    Selection,
    SourceBuild,
)
from deb_bootc_compose.treefile.tree import AddedFile, Composefs, Group, IdCheck, RemovedFromPackage, User


class Contents(Part):
    """Keys that mean the same in a treefile, in a variant and in a part for one architecture."""

    # packages
    suite: str | None = None
    """Of Debian, such as `trixie`. Needed."""
    components: tuple[str, ...] = ("main",)
    """Of the suite."""
    mirror: str | None = None
    """URI of the suite's archive; none: the mirror that the host's own apt uses."""
    snapshot: str | None = None
    """Date such as `20261120T000000Z`, put in place of `{snapshot}` in `mirror`."""
    check_valid_until: bool = True
    """False: a Release file may be older than it says it is good for."""
    keyrings: tuple[str, ...] = ()
    """Files with the keys that may sign the suite; none: those of Debian's archive."""
    repositories: tuple[Repository, ...] = ()
    """Beside the suite; in place of an entry, the name of a deb822 `.sources` file, or its text."""
    packages: tuple[str, ...] = ()
    """Names, or `NAME=VERSION`, `NAME/SUITE`, as apt takes them; several in one text are split at spaces."""
    repo_packages: tuple[RepositoryPackages, ...] = ()
    """Packages that have to come from one of `repositories`."""
    exclude_packages: tuple[str, ...] = ()
    """Never installed: an error if something needs them."""
    recommends: bool = False
    """Also install what the packages recommend."""
    preferences: tuple[Preference, ...] = ()
    """Pins, as in apt_preferences(5)."""
    debconf: tuple[Selection, ...] = ()
    """Answers to the questions of packages, given before these are installed."""
    dpkg_options: tuple[str, ...] = ()
    """Lines for dpkg.cfg, without the leading dashes."""
    foreign_architectures: tuple[str, ...] = ()
    """Whose packages may be installed too, by `NAME:ARCHITECTURE`."""
    sources: tuple[SourceBuild, ...] = ()
    """Source packages that are built for this compose."""
    build: BuildSettings = BuildSettings()
    """Who builds `sources`."""

    # kernel and boot
    kernel: str | None = None
    """Package of the kernel. Needed but with `container: true`."""
    initramfs: Initramfs = Initramfs()
    """How the initramfs is made."""
    initramfs_args: tuple[str, ...] = ()
    """More arguments of its generator."""
    no_initramfs: bool = False
    """True: none is made; the kernel has to find its root by itself."""
    kargs: tuple[str, ...] = ()
    """Arguments on the kernel's command line."""
    bootloader: BootloaderKind = BootloaderKind.GRUB
    """What the firmware starts."""
    boot_location: Literal["new", "modules"] = "modules"
    """Where kernel and initramfs are: in /usr/lib/modules alone, or also in /usr/lib/ostree-boot."""
    composefs: Composefs = Composefs.AUTO
    """Whether the root is a composefs; `auto`: what the suite's ostree can."""
    container: bool = False
    """True: a container that is not booted: no kernel, no initramfs, no disk."""

    # tree
    documentation: bool = True
    """False: without /usr/share/doc (but copyright files), man pages and info."""
    install_langs: tuple[str, ...] = ()
    """Translations that are kept; none given: all."""
    locale: str = "C.UTF-8"
    """The system's."""
    timezone: str = "Etc/UTC"
    """Name in /usr/share/zoneinfo."""
    hostname: str = "debian"
    """Written to /etc/hostname."""
    units: tuple[str, ...] = ()
    """systemd units that are enabled."""
    default_target: str | None = None
    """systemd's, such as `multi-user.target`; none: the packages'."""
    machineid_compat: bool = True
    """True: an empty /etc/machine-id, filled at first boot; false: no such file."""
    tmp_is_dir: bool = True
    """True: /tmp is a directory; false: a link to /sysroot/tmp."""
    opt_usrlocal: Literal["var", "root", "stateoverlay"] = "var"
    """What /opt and /usr/local are: links into /var, part of the tree, or an overlay that keeps changes."""
    readonly_executables: bool = False
    """True: executables in the commit have no write bits."""
    alternatives: dict[str, str] = {}
    """`update-alternatives --set NAME PATH` each."""
    users: tuple[User, ...] = ()
    """Accounts that the image has."""
    groups: tuple[Group, ...] = ()
    """Groups that the image has."""
    os_release: dict[str, str] = Field(default={}, alias="mutate-os-release")
    """Fields of /usr/lib/os-release that are set; `${version}` is the version of the commit."""
    postprocess: tuple[str, ...] = ()
    """Scripts (first line `#!`), run in the tree without network. `${NAME}` in them is the shell's own."""
    postprocess_script: str | None = None
    """File of one more, run last."""
    add_files: tuple[AddedFile, ...] = ()
    """Files beside the treefile that go into the tree, also as `[SOURCE, DESTINATION]`."""
    remove_files: tuple[str, ...] = ()
    """Paths that are removed at the end, relative to the root of the tree; `*` and `?` are wild."""
    remove_from_packages: tuple[RemovedFromPackage, ...] = ()
    """Files of packages that are left out, also as `[PACKAGE, PATTERN...]`."""
    check_passwd: IdCheck = IdCheck()
    """Whether uids may change from one compose to the next."""
    check_groups: IdCheck = IdCheck()
    """Whether gids may change from one compose to the next."""
    preserve_passwd: bool = True
    """Take uids and gids from the commit before."""
    ignore_removed_users: tuple[str, ...] = ()
    """Users that may go without an error; `*`: all."""
    ignore_removed_groups: tuple[str, ...] = ()
    """Groups that may go without an error; `*`: all."""
    var_policy: Literal["tmpfiles", "factory", "refuse"] = "factory"
    """What becomes of files that packages left in /var: dropped, copied at first boot, or an error."""

    # commit
    ref: str | None = None
    """OSTree branch, such as `debian/${suite}/${architecture}/${variant}`, which it is if nothing is said."""
    automatic_version_prefix: str | None = None
    """Versions are PREFIX.N with N counted up from the commit before; `<date:%Y%m%d>` in it is the date."""
    metadata: dict[str, Any] = Field(default={}, alias="add-commit-metadata")
    """Beside our own, in the metadata of the commit."""
    ostree: OstreeSettings = OstreeSettings()
    """The commit and the repository that it is published in."""

    # outputs
    outputs: tuple[OutputKind, ...] = ()
    """What is made of the commit. `registry` brings `ociarchive` with it, and `qcow2` brings `raw`."""
    failable: tuple[OutputKind, ...] = ()
    """Outputs that the compose may do without."""
    output_name: str | None = None
    """Of files; `${name}-${variant}-${version}.${architecture}` if nothing is said."""
    oci: OciSettings = OciSettings()
    """The container image."""
    registry: Registry = Registry()
    """Where the image is pushed."""
    disk: DiskSettings = DiskSettings()
    """Disk images."""
    phase_timeouts_s: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Seconds that a phase may take, by its name, such as `ostree` or `output.raw`."""
