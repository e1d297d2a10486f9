"""A virtual machine as data, and the command line that starts it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools.port import Bound
from deborch_shared.errors import ErrorCode

_CODE, _VARIABLES = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
"""Of the tools root; a room may write to the second, and forgets it."""
KVM = Path("/dev/kvm")
ARCHITECTURE = "amd64"


class FirmwareKind(StrEnum):
    """What starts the disk."""

    UEFI = "uefi"
    BIOS = "bios"


class Accelerator(StrEnum):
    """Who runs the instructions of the guest."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Disk:
    """A file that the guest sees as a disk."""

    path: Path
    format: str = "raw"
    writable: bool = False
    """False: what the guest writes is forgotten when it ends."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One guest. What it writes for a while goes to `scratch`, a directory."""

    disks: tuple[Disk, ...]
    scratch: Path
    accelerator: Accelerator
    firmware: FirmwareKind = FirmwareKind.UEFI
    memory_mib: int = 1024
    cpus: int = 2
    credentials: Mapping[str, bytes] | None = None
    """System credentials (systemd.exec(5)) by name, as base64 text."""
    report: Path | None = None
    """A file in `scratch` that receives what the guest writes to its second serial line."""
    terminal: bool = False
    """The console is that of the user, with the monitor behind Ctrl-A."""
    network: bool = False
    """A network card behind qemu's own address translation."""

    def command(self) -> list[str]:
        """Starts it; ends when the guest powers off. The first serial line is standard output."""
        return [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", self._accelerator(), "-cpu", "max"),
            *("-m", str(self.memory_mib), "-smp", str(self.cpus), "-nodefaults", "-display", "none"),
            *("-device", "virtio-rng-pci"),
            *self._consoles(),
            *self._firmware(),
            *(word for number, disk in enumerate(self.disks) for word in _disk(number, disk)),
            *(("-nic", "user,model=virtio-net-pci") if self.network else ()),
            *(word for name, value in (self.credentials or {}).items() for word in _credential(name, value)),
        ]

    def bound(self) -> list[Bound]:
        """What qemu sees of the host."""
        return [
            Bound(self.scratch, writable=True),
            *(Bound(disk.path, writable=disk.writable) for disk in self.disks),
            *((Bound(KVM, writable=True),) if self.accelerator is Accelerator.KVM else ()),
        ]

    def environment(self) -> dict[str, str]:
        return {"TMPDIR": str(self.scratch)}

    def _accelerator(self) -> str:
        return "kvm" if self.accelerator is Accelerator.KVM else "tcg,thread=multi,tb-size=512"

    def _consoles(self) -> tuple[str, ...]:
        first = ("-serial", "mon:stdio") if self.terminal else ("-monitor", "none", "-serial", "stdio")
        return first if self.report is None else (*first, "-serial", f"file:{self.report}")

    def _firmware(self) -> tuple[str, ...]:
        if self.firmware is FirmwareKind.BIOS:
            return ()
        return (
            *("-drive", f"if=pflash,format=raw,readonly=on,file={_CODE}"),
            *("-drive", f"if=pflash,format=raw,file={_VARIABLES}"),
        )


def check_architecture(architecture: str, host: str) -> None:
    """Raise INVALID_INPUT for guests that are not started here."""
    if architecture == ARCHITECTURE and host == ARCHITECTURE:
        return
    raise failure(
        FailureClass.BOOT,
        ErrorCode.INVALID_INPUT,
        f"disks for {architecture} are not started on {host} machines",
        hint=f"{ARCHITECTURE} disks are started on {ARCHITECTURE}; copy the disk to a machine of its own architecture",
    )


def _disk(number: int, disk: Disk) -> tuple[str, ...]:
    file = str(disk.path).replace(",", ",,")
    snapshot = "off" if disk.writable else "on"
    drive = f"if=none,id=disk{number},format={disk.format},file={file},cache=unsafe,snapshot={snapshot}"
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive=disk{number}")


def _credential(name: str, value: bytes) -> tuple[str, str]:
    """By SMBIOS: systemd.system-credentials(7). Nothing on the disk changes, whatever the bootloader is."""
    return ("-smbios", f"type=11,value=io.systemd.credential.binary:{name}={value.decode('ascii')}")
