"""The initramfs: made once for what goes into it, and kept, since making it takes longer than half a compose."""

import asyncio
import os
import secrets
import shutil
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.ostree.initramfs_inputs import initramfs_inputs
from deb_bootc_compose.ostree.layout import MODULES
from deb_bootc_compose.ostree.room import TreeRoom, room_in
from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.treefile.packages import InitramfsGenerator
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode
from deborch_shared.process import OutputSink

_CONFIGURATION = "/usr/lib/dracut/dracut.conf.d/90-image.conf"
_EPOCH = 1
"""Of its files, whatever that of the compose is: it is shared by composes of all times."""
_MADE = "/run/initramfs.img"
_SMALLEST_BYTES = 1 << 20
_VERSION = 1


def configure_initramfs(tree: Tree, treefile: ResolvedTreefile) -> None:
    """Settings for the generator, which the image keeps.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if it is not installed; INVALID_INPUT of class TREEFILE for one that
            makes none that finds an OSTree deployment.
    """
    settings = treefile.initramfs
    if settings.generator is not InitramfsGenerator.DRACUT:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"{settings.generator} cannot make an initramfs that boots an OSTree deployment: Debian's ostree-boot has"
            " a module for dracut alone",
            hint="set `initramfs: {generator: dracut}`, or no-initramfs: true for a kernel that needs none",
        )
    if not tree.exists("/usr/bin/dracut"):
        raise tree_failure("dracut is not in the tree", hint="add the package dracut, or set no-initramfs: true")
    if not tree.where("/usr/lib/dracut/modules.d").is_dir() or not any(
        name.endswith("ostree") for name in tree.names("/usr/lib/dracut/modules.d")
    ):
        raise tree_failure("dracut has no module for OSTree", hint="add the package ostree-boot")
    modules = " ".join(("ostree", "systemd", *settings.modules))
    lines = [
        "hostonly=no",
        "hostonly_cmdline=no",
        "reproducible=yes",
        f'compress="{settings.compress}"',
        f'add_dracutmodules+=" {modules} "',
        f'add_drivers+=" {" ".join(settings.drivers)} "',
    ]
    if settings.omit_modules:
        lines.append(f'omit_dracutmodules+=" {" ".join(settings.omit_modules)} "')
    tree.write(_CONFIGURATION, "".join(f"{line}\n" for line in lines))


async def place_initramfs(
    tree: Tree, treefile: ResolvedTreefile, version: str, cache: Path, *, beside: Path, on_output: OutputSink
) -> bool:
    """Have it in the tree, from the cache if nothing that goes into it has changed.

    Returns:
        Whether it had to be made.

    Raises:
        DeborchError: PROCESS_FAILED of class TREE with the last lines of the generator.
    """
    key = await asyncio.to_thread(initramfs_inputs, tree, version, (str(_VERSION), *treefile.initramfs_args))
    kept = cache / f"{key}.img"
    target = tree.where(f"{MODULES}/{version}/initramfs.img")
    made = not await asyncio.to_thread(kept.is_file)
    if made:
        await asyncio.to_thread(tree.make_directory, "/run")
        async with room_in(tree, beside / "dracut", on_output, _EPOCH) as room:
            await _make(room, version, treefile.initramfs_args)
        await asyncio.to_thread(_keep, tree.where(_MADE), kept)
    await asyncio.to_thread(_copy, kept, target)
    return made


async def _make(room: TreeRoom, version: str, arguments: tuple[str, ...]) -> None:
    await room.run(
        "dracut",
        ["dracut", "--force", "--quiet", *arguments, _MADE, version],
        env={"TMPDIR": "/tmp", "DRACUT_NO_MKNOD": "1", "DRACUT_NO_XATTR": "1"},  # noqa: S108 - the tree's
    )


def _keep(made: Path, kept: Path) -> None:
    if made.stat().st_size < _SMALLEST_BYTES:
        raise tree_failure("dracut made an initramfs that holds nothing", hint="the log of the phase has what it said")
    kept.parent.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    try:
        shutil.copyfile(made, unfinished)
        with unfinished.open("rb") as opened:
            os.fsync(opened.fileno())
        unfinished.rename(kept)
    finally:
        unfinished.unlink(missing_ok=True)


def _copy(kept: Path, target: Path) -> None:
    shutil.copyfile(kept, target)
    target.chmod(0o644)
    os.utime(kept)
