"""The shape of a tree that boots from OSTree: see docs/explanation/ostree-layout.md."""

import hashlib
import json
import os
import stat

from deb_bootc_compose.ostree.contents import DPKG
from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.ostree.var_contents import move_var_out
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.tree import Composefs

SYSIMAGE_DPKG = "/usr/lib/sysimage/dpkg"
PREPARE_ROOT = "/usr/lib/ostree/prepare-root.conf"
MODULES = "/usr/lib/modules"
_LINKS = {"home": "var/home", "root": "var/roothome", "srv": "var/srv", "mnt": "var/mnt", "media": "run/media"}
_EMPTY = {"run": 0o755, "dev": 0o755, "proc": 0o755, "sys": 0o755, "boot": 0o755, "sysroot": 0o755}
_LOCAL = ("bin", "etc", "games", "include", "lib", "man", "sbin", "share", "src")
_DPKG_LEFTOVERS = ("status-old", "available-old", "diversions-old", "statoverride-old", "lock", "lock-frontend")
_SETTABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def write_boot_settings(tree: Tree, treefile: ResolvedTreefile) -> None:
    """What the initramfs and bootc read. Before the initramfs is made, since it has a copy."""
    enabled = _composefs(tree, treefile.composefs)
    tree.write(PREPARE_ROOT, f"[composefs]\nenabled = {enabled}\n[sysroot]\nreadonly = true\n")
    if treefile.kargs:
        tree.write("/usr/lib/bootc/kargs.d/10-treefile.toml", f"kargs = {json.dumps(list(treefile.kargs))}\n")
    install = f'[install.filesystem.root]\ntype = "{treefile.disk.filesystem}"\n'
    tree.write("/usr/lib/bootc/install/00-image.toml", install)


def _composefs(tree: Tree, wanted: Composefs) -> str:
    """ostree without libcomposefs boots with `maybe` and ends in emergency mode with `yes`."""
    able = any(name.startswith("libcomposefs") for name in tree.names(f"{DPKG}/info"))
    if wanted is Composefs.AUTO:
        return "yes" if able else "maybe"
    if wanted is Composefs.YES and not able:
        raise tree_failure(
            "composefs: yes, but ostree of this suite cannot do it",
            hint="use auto or maybe, or a suite whose ostree depends on libcomposefs1 (forky and later)",
        )
    return wanted.value


def kernel_version(tree: Tree, treefile: ResolvedTreefile) -> str | None:
    """Of the one kernel that is installed; None for a container.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if there is none, or several.
    """
    found = [name.removeprefix("vmlinuz-") for name in tree.names("/boot") if name.startswith("vmlinuz-")]
    if treefile.container and not found:
        return None
    if len(found) == 1:
        return found[0]
    if not found:
        raise tree_failure(
            "no kernel is installed", hint="set `kernel` to a package such as linux-image-amd64, or `container: true`"
        )
    raise tree_failure(
        f"{len(found)} kernels are installed: {', '.join(found)}",
        hint="an image boots exactly one: see which package brings the other one (exclude-packages)",
    )


def place_kernel(tree: Tree, version: str | None) -> None:
    """Move it from /boot, which belongs to the machine, to its modules."""
    if version is not None:
        tree.move(f"/boot/vmlinuz-{version}", f"{MODULES}/{version}/vmlinuz")
        if tree.exists(f"/boot/config-{version}"):
            tree.move(f"/boot/config-{version}", f"{MODULES}/{version}/config")
    for name in ("vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old"):
        tree.remove(name)


def also_in_ostree_boot(tree: Tree, version: str) -> None:
    """`boot-location: new`: for old bootloader code of OSTree, which looks for checksums in the names."""
    names = (("vmlinuz", f"vmlinuz-{version}"), ("initramfs.img", f"initramfs-{version}.img"))
    files = [(tree.where(f"{MODULES}/{version}/{name}"), target) for name, target in names]
    content = [(place.read_bytes(), target) for place, target in files if place.is_file()]
    checksum = hashlib.sha256(b"".join(data for data, _ in content)).hexdigest()
    for data, target in content:
        tree.write(f"/usr/lib/ostree-boot/{target}-{checksum}", data)


def lay_out(tree: Tree, treefile: ResolvedTreefile, homes: list[str]) -> list[str]:
    """Everything else; /etc is /usr/etc at the end. `homes`: lines of tmpfiles.d for those of users.

    Returns:
        Files of /var whose content is not kept.
    """
    lines = [*homes, "d /var/roothome 0700 root root - -", "d /run/media 0755 root root - -"]
    _move_dpkg(tree)
    lines.append("L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg")
    for name, target in _LINKS.items():
        _move_into_var(tree, name, target)
        if target.startswith("var/") and name != "root":
            lines.append(f"d /{target} 0755 root root - -")
    lines += _opt_and_local(tree, treefile)
    dropped = move_var_out(tree, treefile.var_policy, lines)
    for name, mode in _EMPTY.items():
        tree.make_empty(name, mode)
    if treefile.tmp_is_dir:
        tree.make_empty("tmp", 0o1777)
    else:
        tree.link("tmp", "sysroot/tmp")
    tree.link("ostree", "sysroot/ostree")
    tree.move("/etc", "/usr/etc")
    return dropped


def _move_dpkg(tree: Tree) -> None:
    if not tree.exists(DPKG):
        return
    for name in _DPKG_LEFTOVERS:
        tree.remove(f"{DPKG}/{name}")
    tree.remove(f"{DPKG}/triggers/Lock")
    tree.make_directory("/usr/lib/sysimage")
    tree.move(DPKG, SYSIMAGE_DPKG)


def _move_into_var(tree: Tree, name: str, target: str) -> None:
    """What is in the directory is kept as the files of /var are; of /media nothing is."""
    place = tree.where(name, follow=False)
    if place.is_dir() and not place.is_symlink() and target.startswith("var/"):
        tree.move(name, target)
    tree.link(name, ("../" if "/" in name else "") + target)


def _opt_and_local(tree: Tree, treefile: ResolvedTreefile) -> list[str]:
    if treefile.opt_usrlocal == "root":
        return []
    if treefile.opt_usrlocal == "stateoverlay":
        _enable_state_overlays(tree)
        return []
    lines = []
    for name in tree.names("/opt"):
        tree.make_directory("/usr/lib/opt")
        tree.move(f"/opt/{name}", f"/usr/lib/opt/{name}")
        lines.append(f"L /var/opt/{name} - - - - ../../usr/lib/opt/{name}")
    _move_into_var(tree, "opt", "var/opt")
    _move_into_var(tree, "usr/local", "var/usrlocal")
    lines += ["d /var/opt 0755 root root - -", "d /var/usrlocal 0755 root root - -"]
    lines += [f"d /var/usrlocal/{name} 0755 root root - -" for name in _LOCAL if name != "man"]
    return lines


def _enable_state_overlays(tree: Tree) -> None:
    unit = "/usr/lib/systemd/system/ostree-state-overlay@.service"
    if not tree.exists(unit):
        raise tree_failure(
            "opt-usrlocal: stateoverlay, but ostree of this suite has no state overlays",
            hint="use var or root, or add the package ostree-boot of trixie or later",
        )
    for name in ("opt", "usr-local"):
        tree.link(f"/etc/systemd/system/local-fs.target.wants/ostree-state-overlay@{name}.service", unit)


def settle(tree: Tree, *, readonly_executables: bool) -> int:
    """Last look at every file: what OSTree cannot hold goes; bytes of all files.

    Raises:
        DeborchError: CHECK_FAILED of class TREE for a name that is not UTF-8.
    """
    total_bytes = 0
    _drop_overlay_attributes(tree.root)
    seen: set[tuple[int, int]] = set()
    for path, status in tree.walk():
        if not path.isprintable() and not _is_text(path):
            raise tree_failure(
                f"the name {path!r} is not UTF-8, or has a line break", hint="remove it, by remove-files or in a script"
            )
        place = tree.root / path.lstrip("/")
        if stat.S_ISREG(status.st_mode):
            if (status.st_dev, status.st_ino) not in seen:
                total_bytes += status.st_size
                seen.add((status.st_dev, status.st_ino))
            if readonly_executables and status.st_mode & 0o111 and status.st_mode & _SETTABLE:
                place.chmod(stat.S_IMODE(status.st_mode) & ~_SETTABLE)
        elif not stat.S_ISDIR(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            place.unlink()
            continue
        _drop_overlay_attributes(place)
    return total_bytes


def _is_text(path: str) -> bool:
    return "\n" not in path and not any("\ud800" <= character <= "\udfff" for character in path)


def _drop_overlay_attributes(place: os.PathLike[str]) -> None:
    """What the overlay wrote, on which scripts ran."""
    for name in os.listxattr(place, follow_symlinks=False):
        if name.startswith("trusted.overlay."):
            os.removexattr(place, name, follow_symlinks=False)
