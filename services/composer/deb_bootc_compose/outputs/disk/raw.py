"""The phase `output.raw`: a disk image as it is written to a disk."""

import asyncio
import shutil
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.full_disk import full_disk_is_told
from deb_bootc_compose.outputs.disk import bootloader
from deb_bootc_compose.outputs.disk.asked import needs_raw
from deb_bootc_compose.outputs.disk.image import write_image
from deb_bootc_compose.outputs.disk.plan import DiskPlan, occupied_bytes, plan_disk, root_file_system_uuid
from deb_bootc_compose.outputs.disk.space import require_space
from deb_bootc_compose.outputs.disk.sysroot import Deployment, make_sysroot
from deb_bootc_compose.outputs.naming import output_name
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import FileFacts, OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.tools.making import native_architecture
from deb_bootc_compose.treefile.outputs import BootloaderKind, OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

_FORMAT = 1
"""Raised when the same inputs are to give another disk."""


class RawDisk(BarePhase):
    """Partition table, EFI system partition, root file system with one deployment."""

    name = "output.raw"
    needs = ("ostree",)
    after = ("lint",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return needs_raw(request, treefile)

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return treefile is not None and OutputKind.RAW in treefile.failable

    async def inputs(self, work: PhaseWork) -> JsonObject:
        treefile = work.treefile
        return {
            "format": _FORMAT,
            "tools": work.tools.digest,
            "name": [treefile.name, treefile.variant, treefile.suite, treefile.architecture, treefile.output_name],
            "ref": treefile.ref,
            "kargs": list(treefile.kargs),
            "bootloader": treefile.bootloader.value,
            "disk": treefile.disk.model_dump(mode="json"),
        }

    async def run(self, work: PhaseWork) -> JsonObject:
        with failures_are(FailureClass.OUTPUT), full_disk_is_told(work.directory):
            return (await _make(work)).model_dump(mode="json")


async def _make(work: PhaseWork) -> FileFacts:
    treefile = work.treefile
    bootloader.check_architecture(treefile.architecture, native_architecture())
    ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
    half_made = work.directory / "half-made"
    try:
        sysroot = half_made / "sysroot"
        work.progress.step("deploying the commit")
        await make_sysroot(
            work.tools, work.state.work_repository, sysroot, _deployment(treefile, ostree), on_output=work.progress.log
        )
        plan = await asyncio.to_thread(_plan, treefile, ostree.commit, sysroot)
        work.progress.step("writing the disk")
        disk = half_made / "disk.raw"
        await write_image(
            work.tools,
            plan,
            sysroot,
            disk,
            architecture=treefile.architecture,
            epoch=ostree.epoch,
            with_bootloader=treefile.bootloader is BootloaderKind.GRUB,
            on_output=work.progress.log,
        )
        path = work.directory / f"{output_name(treefile, ostree)}.raw"
        disk.rename(path)
        work.progress.step("taking the checksum")
        return await asyncio.to_thread(facts_of, path)
    finally:
        await asyncio.to_thread(shutil.rmtree, half_made, ignore_errors=True)


def facts_of(path: Path) -> FileFacts:
    """Of an output that is one file."""
    return FileFacts(path=path.name, sha256=digest_of_file(path), size_bytes=path.stat().st_size)


def _deployment(treefile: ResolvedTreefile, ostree: OstreeFacts) -> Deployment:
    root = f"root=UUID={root_file_system_uuid(ostree.commit)}"
    return Deployment(
        commit=ostree.commit,
        ref=treefile.ref,
        kargs=(root, "rw", *treefile.kargs),
        epoch=ostree.epoch,
        root_password_empty=treefile.disk.root_password_empty,
    )


def _plan(treefile: ResolvedTreefile, commit: str, sysroot: Path) -> DiskPlan:
    occupied = occupied_bytes(sysroot)
    require_space(sysroot, occupied)
    bios = (
        treefile.disk.bios and treefile.bootloader is BootloaderKind.GRUB and bootloader.has_bios(treefile.architecture)
    )
    return plan_disk(commit, treefile.architecture, occupied, treefile.disk, bios=bios)
