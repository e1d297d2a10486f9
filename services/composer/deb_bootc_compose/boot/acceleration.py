"""Whether KVM runs a guest here: /dev/kvm may open and still not. The only proof is a guest that ran."""

import asyncio
import os
import tempfile
from pathlib import Path

from deb_bootc_compose.boot.machine import KVM, Accelerator
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.errors import DeborchError

_SIGN = b"deborch"
_ENDED_BY_ITSELF = 33
"""isa-debug-exit: twice what was written, and one."""
_WITHIN_S = 4.0
"""Where KVM is real, half a second. It may also work and be slower than TCG, where it is emulated itself."""
_DISK_BYTES = 1 << 20
"""SeaBIOS passes over disks that are too small to be any."""


def _boot_sector() -> bytes:
    """Does what firmware does and some hosts cannot (wait, fninit), writes `_SIGN` to the first serial line, and ends
    the machine with 16."""
    fpu = b"\x9b\xdb\xe3"
    serial = b"".join(b"\xb0" + bytes([letter]) + b"\xee" for letter in _SIGN)
    code = fpu + b"\xba\xf8\x03" + serial + b"\xba\xf4\x00\xb0\x10\xee\xf4\xeb\xfd"
    return (code.ljust(510, b"\0") + b"\x55\xaa").ljust(_DISK_BYTES, b"\0")


async def accelerator_of(tools: Tools, kvm: Path = KVM) -> Accelerator:
    """KVM if it works, else TCG, which works everywhere and is ten times slower. `tools`: those with qemu."""
    if not await asyncio.to_thread(os.access, kvm, os.R_OK | os.W_OK):
        return Accelerator.TCG
    with tempfile.TemporaryDirectory() as name:
        disk = Path(name) / "boot-sector"
        await asyncio.to_thread(disk.write_bytes, _boot_sector())
        command = [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", "max", "-m", "64", "-nodefaults"),
            *("-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=0x01"),
            *("-drive", f"if=none,id=d,format=raw,file={disk},snapshot=on", "-device", "virtio-blk-pci,drive=d"),
        ]
        try:
            bound = [Bound(disk), Bound(kvm, writable=True)]
            tried = await tools.run(command, bound=bound, timeout_s=_WITHIN_S, check=False)
        except DeborchError:
            return Accelerator.TCG
    works = tried.returncode == _ENDED_BY_ITSELF and _SIGN in tried.output
    return Accelerator.KVM if works else Accelerator.TCG
