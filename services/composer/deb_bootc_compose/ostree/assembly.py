"""From an installed root filesystem to a tree that is ready to be committed."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.gather.lock import Lock
from deb_bootc_compose.ostree import contents, layout
from deb_bootc_compose.ostree.account_checks import settle_ids
from deb_bootc_compose.ostree.account_requests import add_accounts, home_lines, write_sysusers
from deb_bootc_compose.ostree.accounts import Accounts
from deb_bootc_compose.ostree.changes import needs_room, prepare_changes, run_changes
from deb_bootc_compose.ostree.identity import set_identity, set_os_release
from deb_bootc_compose.ostree.initramfs import configure_initramfs, place_initramfs
from deb_bootc_compose.ostree.room import room_in
from deb_bootc_compose.ostree.rootfs import make_rootfs
from deb_bootc_compose.ostree.tree import Tree
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tree is made of."""

    treefile: ResolvedTreefile
    lock: Lock
    repository: Path
    """The signed repository with its .debs."""
    initramfs_cache: Path
    accounts: Accounts | None
    """Of the commit before."""
    version: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Assembled:
    """A tree that is ready."""

    tree: Tree
    kernel_version: str | None
    packages: list[tuple[str, str, str]]
    tree_bytes: int
    initramfs_made: bool


async def assemble(plan: Plan, place: Path, progress: Progress) -> Assembled:
    """Make it in `place / "root"`.

    Raises:
        DeborchError: of class TREE.
    """
    treefile = plan.treefile
    progress.step(f"installing {len(plan.lock.packages)} packages")
    tree = await make_rootfs(
        place / "root",
        plan.repository,
        plan.lock,
        treefile,
        scratch=place,
        epoch=plan.epoch,
        on_output=progress.log,
    )
    packages = await asyncio.to_thread(contents.installed_packages, tree)
    await asyncio.to_thread(_change, tree, plan)
    if needs_room(treefile, tree):
        progress.step("changing the tree as the treefile says")
        async with room_in(tree, place / "changes", progress.log, plan.epoch) as room:
            await run_changes(tree, treefile, room)
    await asyncio.to_thread(contents.remove_files, tree, treefile.remove_files)
    await asyncio.to_thread(settle_ids, tree, treefile, plan.accounts)
    version = await asyncio.to_thread(_place_kernel, tree, treefile)
    made = False
    if version is not None and not treefile.no_initramfs:
        progress.step("making the initramfs, or taking it from the cache")
        cache = plan.initramfs_cache
        made = await place_initramfs(tree, treefile, version, cache, beside=place, on_output=progress.log)
        progress.log(f"initramfs: {'made' if made else 'from the cache'}\n".encode())
    progress.step("laying out the tree for OSTree")
    tree_bytes = await asyncio.to_thread(_finish, tree, plan, version, progress)
    return Assembled(tree, version, packages, tree_bytes, made)


def _change(tree: Tree, plan: Plan) -> None:
    treefile = plan.treefile
    contents.remove_from_packages(tree, treefile.remove_from_packages)
    if not treefile.documentation:
        contents.remove_documentation(tree)
    if treefile.install_langs:
        contents.remove_translations(tree, treefile.install_langs)
    add_accounts(tree, treefile.users, treefile.groups, plan.epoch)
    set_identity(tree, treefile)
    contents.add_files(tree, treefile)
    prepare_changes(tree, treefile)


def _place_kernel(tree: Tree, treefile: ResolvedTreefile) -> str | None:
    version = layout.kernel_version(tree, treefile)
    layout.write_boot_settings(tree, treefile)
    layout.place_kernel(tree, version)
    if version is not None and not treefile.no_initramfs:
        configure_initramfs(tree, treefile)
    return version


def _finish(tree: Tree, plan: Plan, version: str | None, progress: Progress) -> int:
    treefile = plan.treefile
    set_os_release(tree, treefile.os_release, plan.version)
    write_sysusers(tree)
    if version is not None and treefile.boot_location == "new":
        layout.also_in_ostree_boot(tree, version)
    for path in layout.lay_out(tree, treefile, home_lines(tree, treefile.users)):
        progress.log(f"not kept: {path}\n".encode())
    return layout.settle(tree, readonly_executables=treefile.readonly_executables)
