"""GRUB that reads what libostree writes: static images, so that no grub-mkconfig ever runs.

One image for UEFI, and on amd64 one for BIOS, whose first sectors are patched as grub-bios-setup does it
(GRUB's util/setup.c). Neither is signed: Secure Boot has to be off.
"""

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.disk.plan import SECTOR_BYTES, DiskPlan
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.errors import ErrorCode

_MODULES = (
    *("part_gpt", "part_msdos", "ext2", "fat", "normal", "linux", "search", "search_fs_uuid", "syslinuxcfg"),
    *("terminal", "echo", "test", "configfile", "all_video", "gzio", "sleep", "ls", "cat", "halt", "reboot"),
)
_CONFIG = """\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
search --no-floppy --fs-uuid --set=root {root_uuid}
set timeout=1
syslinux_configfile -s ($root)/boot/loader/syslinux.cfg
"""
_BIOS_TARGET = "i386-pc"
_BIOS_MODULES = ("biosdisk", "serial", "linux16")
"""For BIOS, GRUB makes linux16 of what syslinux.cfg says."""
_KERNEL_SECTOR, _DRIVE_CHECK = 0x5C, 0x66
"""In boot.img: where core.img begins; a jump that is blanked on hard disks, for firmware that names the wrong one."""
_BOOT_CODE_BYTES = 440
_BLOCK_LIST = SECTOR_BYTES - 12
"""In the first sector of core.img: where the rest of it is."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """What UEFI of one architecture starts from a disk that it does not know."""

    target: str
    file_name: str
    modules: tuple[str, ...] = ("efi_gop",)


FIRMWARE: Mapping[str, Firmware] = MappingProxyType(
    {
        "amd64": Firmware("x86_64-efi", "BOOTX64.EFI", ("efi_gop", "serial")),
        "arm64": Firmware("arm64-efi", "BOOTAA64.EFI", ("efi_gop", "serial")),
    }
)


def check_architecture(architecture: str, host: str) -> None:
    """Raise INVALID_INPUT where the tools root has no GRUB for `architecture`: it is one for `host`."""
    firmware_of(architecture)
    if architecture != host:
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.INVALID_INPUT,
            f"disks for {architecture} are not made on {host} machines",
            hint=f"compose it on {architecture}, or leave raw and qcow2 out of `outputs:`",
        )


def firmware_of(architecture: str) -> Firmware:
    """Raises DeborchError INVALID_INPUT for an architecture whose disks cannot be made to boot."""
    if architecture not in FIRMWARE:
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.INVALID_INPUT,
            f"disks for {architecture} are not offered: there is no GRUB for its firmware here",
            hint=f"disks are made for {', '.join(FIRMWARE)}; leave raw and qcow2 out of `outputs:`",
        )
    return FIRMWARE[architecture]


def has_bios(architecture: str) -> bool:
    """Whether machines of it may start without UEFI."""
    return architecture == "amd64"


async def make_uefi_image(tools: Tools, architecture: str, plan: DiskPlan, directory: Path) -> Path:
    """The EFI program, in `directory`."""
    firmware = firmware_of(architecture)
    image = directory / firmware.file_name
    await _make_image(tools, firmware.target, image, plan, "/EFI/BOOT", firmware.modules)
    return image


async def install_bios(tools: Tools, plan: DiskPlan, disk: Path, directory: Path) -> None:
    """Write boot.img into the first sector of `disk`, and core.img into its BIOS boot partition."""
    if plan.bios is None:
        raise ValueError("the plan has no BIOS boot partition")
    core, boot = directory / "core.img", directory / "boot.img"
    await _make_image(tools, _BIOS_TARGET, core, plan, "/boot/grub", _BIOS_MODULES)
    source = f"/usr/lib/grub/{_BIOS_TARGET}/boot.img"
    await tools.run(["cp", source, str(boot)], bound=[Bound(directory, writable=True)])
    await asyncio.to_thread(_write_bios, plan.bios.first_sector, plan.bios.size_bytes, disk, boot, core)


def _write_bios(first_sector: int, room_bytes: int, disk: Path, boot: Path, core: Path) -> None:
    boot_code = bytearray(boot.read_bytes()[:_BOOT_CODE_BYTES])
    struct.pack_into("<Q", boot_code, _KERNEL_SECTOR, first_sector)
    struct.pack_into("2s", boot_code, _DRIVE_CHECK, b"\x90\x90")
    content = bytearray(core.read_bytes())
    struct.pack_into("<Q", content, _BLOCK_LIST, first_sector + 1)
    if len(content) > room_bytes:
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.TOO_LARGE,
            f"GRUB's core image has {len(content)} bytes, its partition {room_bytes}",
            hint="set `bios: false` under `disk:` in the treefile",
        )
    with disk.open("r+b") as target:
        target.write(boot_code)
        target.seek(first_sector * SECTOR_BYTES)
        target.write(content)


async def _make_image(
    tools: Tools, target: str, image: Path, plan: DiskPlan, prefix: str, modules: tuple[str, ...]
) -> None:
    config = image.with_suffix(".cfg")
    await asyncio.to_thread(config.write_text, _CONFIG.format(root_uuid=plan.root_uuid))
    command = ["grub-mkimage", "-O", target, "-o", str(image), "-c", str(config), "-p", prefix, *_MODULES, *modules]
    await tools.run(command, bound=[Bound(image.parent, writable=True)])
