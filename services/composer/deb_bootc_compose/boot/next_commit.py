"""What an upgrade is tested with: a disk at the commit before, and a second disk with the one after it to pull from."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.outputs.disk.image import write_image
from deb_bootc_compose.outputs.disk.plan import MIB, occupied_bytes, plan_disk, root_file_system_uuid
from deb_bootc_compose.outputs.disk.sysroot import Deployment, make_sysroot
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.treefile.outputs import OstreeMode

_LABEL = "next"
"""guest.sh mounts it by this name."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From the commit `before`, which `disk` boots, to `next`, which `next_disk` has."""

    disk: Path
    before: str
    next: str
    next_disk: Path
    description: str


async def prepare_upgrade(work: PhaseWork, ostree: OstreeFacts, raw: Path, scratch: Path) -> Upgrade:
    """From the compose before to this one. Where there is none: from this one to a commit of the same tree."""
    repository = OstreeRepository(work.state.work_repository, work.tools)
    offered = OstreeRepository(scratch / "next" / "repo", work.tools)
    await offered.ensure(OstreeMode.BARE)
    parent = ostree.parent
    if parent is not None and await repository.is_whole(parent):
        await _offer(offered, repository, ostree.commit, work.treefile.ref)
        disk = await _disk_of(work, parent, ostree, scratch)
        description = f"upgrade from the commit before, {parent}"
        return Upgrade(disk, parent, ostree.commit, await _as_disk(work, scratch), description)
    await _offer(offered, repository, ostree.commit, work.treefile.ref)
    await offered.ostree(
        "commit",
        *(f"--branch={work.treefile.ref}", f"--tree=ref={ostree.commit}", "--bootable", f"--parent={ostree.commit}"),
        *(f"--timestamp=@{ostree.epoch + 1}", "--add-metadata-string=version=boot-test", "--fsync=false"),
        writes=True,
    )
    following = await offered.resolve(work.treefile.ref) or ""
    description = "upgrade to a commit of the same tree, for there is none before"
    return Upgrade(raw, ostree.commit, following, await _as_disk(work, scratch), description)


async def _offer(offered: OstreeRepository, repository: OstreeRepository, commit: str, ref: str) -> None:
    source = Bound(repository.directory)
    await offered.ostree(
        "pull-local", "--disable-fsync", str(repository.directory), commit, bound=[source], writes=True
    )
    await offered.set_ref(ref, commit)


async def _disk_of(work: PhaseWork, commit: str, ostree: OstreeFacts, scratch: Path) -> Path:
    """As `output.raw` makes it."""
    treefile = work.treefile
    sysroot, disk = scratch / "sysroot", scratch / "before.raw"
    kargs = (f"root=UUID={root_file_system_uuid(commit)}", "rw", *treefile.kargs)
    deployment = Deployment(commit=commit, ref=treefile.ref, kargs=kargs, epoch=ostree.epoch)
    await make_sysroot(work.tools, work.state.work_repository, sysroot, deployment, on_output=work.progress.log)
    occupied = await asyncio.to_thread(occupied_bytes, sysroot)
    plan = plan_disk(commit, treefile.architecture, occupied, treefile.disk, bios=False)
    await write_image(work.tools, plan, sysroot, disk, architecture=treefile.architecture, epoch=ostree.epoch)
    return disk


async def _as_disk(work: PhaseWork, scratch: Path) -> Path:
    """A file system without partitions."""
    source, disk = scratch / "next", scratch / "next.img"
    size_mib = await asyncio.to_thread(occupied_bytes, source) * 11 // 10 // MIB + 64
    await work.tools.run(
        ["mkfs.ext4", "-q", "-F", "-L", _LABEL, "-d", str(source), str(disk), f"{size_mib}M"],
        bound=[Bound(scratch, writable=True)],
        on_output=work.progress.log,
    )
    return disk
