"""A disk image of a sysroot, in one sparse file: partition table, EFI system partition, file system, bootloader."""

import asyncio
import os
from pathlib import Path

from deb_bootc_compose.outputs.disk import bootloader
from deb_bootc_compose.outputs.disk.plan import MIB, DiskPlan, Partition
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.process import OutputSink

_TAKES_AT_MOST_S = 1800.0
_LABEL = "root"


async def write_image(
    tools: Tools,
    plan: DiskPlan,
    sysroot: Path,
    disk: Path,
    *,
    architecture: str,
    epoch: int,
    with_bootloader: bool = True,
    on_output: OutputSink | None = None,
) -> None:
    """Make the new file `disk`; what it is made of on the way is beside it, and is left to the caller.

    Raises:
        DeborchError: PROCESS_FAILED with what the tool said.
    """
    clock = {"SOURCE_DATE_EPOCH": str(epoch), "E2FSPROGS_FAKE_TIME": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    place = Bound(disk.parent, writable=True)

    async def tool(*argv: str, stdin: bytes | None = None, sees: tuple[Bound, ...] = ()) -> None:
        bound = (place, *sees)
        await tools.run(argv, bound=bound, env=clock, stdin=stdin, on_output=on_output, timeout_s=_TAKES_AT_MOST_S)

    await asyncio.to_thread(_make_sparse, disk, plan.size_bytes)
    await tool("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk), stdin=plan.table().encode())
    esp = disk.with_name("esp.img")
    await asyncio.to_thread(_make_sparse, esp, plan.esp.size_bytes)
    await tool("mkfs.vfat", "--invariant", "-F", "32", "-n", "ESP", str(esp))
    if with_bootloader:
        efi = await bootloader.make_uefi_image(tools, architecture, plan, disk.parent)
        await asyncio.to_thread(os.utime, efi, (epoch, epoch))
        await tool("mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT")
        await tool("mcopy", "-m", "-i", str(esp), str(efi), f"::/EFI/BOOT/{efi.name}")
    await asyncio.to_thread(_copy_sparse, esp, disk, plan.esp)
    await tool(*_mkfs(plan, sysroot, disk), sees=(Bound(sysroot),))
    if plan.bios is not None:
        await bootloader.install_bios(tools, plan, disk, disk.parent)


def _mkfs(plan: DiskPlan, sysroot: Path, disk: Path) -> list[str]:
    """Everything that mke2fs would choose at random is named after the commit."""
    extended = f"hash_seed={plan.root_uuid},root_owner=0:0,nodiscard,offset={plan.root.offset_bytes}"
    return [
        *("mkfs.ext4", "-q", "-F", "-m", "1", "-b", "4096", "-L", _LABEL, "-U", plan.root_uuid, "-E", extended),
        *("-d", str(sysroot), str(disk), f"{plan.root.size_mib * MIB // 1024}k"),
    ]


def _make_sparse(path: Path, size_bytes: int) -> None:
    with path.open("xb") as target:
        target.truncate(size_bytes)


def _copy_sparse(source: Path, disk: Path, partition: Partition) -> None:
    with source.open("rb") as content, disk.open("r+b") as target:
        position = partition.offset_bytes
        while chunk := content.read(MIB):
            if chunk.count(0) != len(chunk):
                target.seek(position)
                target.write(chunk)
            position += len(chunk)
