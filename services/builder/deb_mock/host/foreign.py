"""Whether this machine runs programs of another architecture: by its processor, or by qemu-user through binfmt_misc.

It is tried, with the smallest program that there is: one that ends at once. Source of the file format: the System V
ABI, chapter 4, and elf(5).
"""

import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode

_BASE = 0x10000
_TAKES_AT_MOST_S = 10.0
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_FIX_BINARY = "F"


@dataclass(frozen=True, slots=True)
class _Machine:
    """How programs of an architecture look."""

    number: int
    """e_machine."""
    ends: bytes
    """Machine code of exit(0)."""
    qemu: str
    bits: int = 64
    big_endian: bool = False
    flags: int = 0


def _words(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


_MACHINES: Mapping[str, _Machine] = MappingProxyType(
    {
        "amd64": _Machine(62, bytes.fromhex("b83c00000031ff0f05"), "x86_64"),
        "i386": _Machine(3, bytes.fromhex("b80100000031dbcd80"), "i386", bits=32),
        "arm64": _Machine(183, _words(0xD2800BA8, 0xD2800000, 0xD4000001), "aarch64"),
        "armhf": _Machine(40, _words(0xE3A07001, 0xE3A00000, 0xEF000000), "arm", bits=32, flags=0x05000400),
        "armel": _Machine(40, _words(0xE3A07001, 0xE3A00000, 0xEF000000), "arm", bits=32, flags=0x05000200),
        "riscv64": _Machine(243, _words(0x05D00893, 0x00000513, 0x00000073), "riscv64"),
        "ppc64el": _Machine(21, _words(0x38000001, 0x38600000, 0x44000002), "ppc64le", flags=2),
        "s390x": _Machine(22, bytes.fromhex("a72900000a01"), "s390x", big_endian=True),
        "loong64": _Machine(258, _words(0x0281740B, 0x00150004, 0x002B0000), "loongarch64"),
    }
)


@dataclass(frozen=True, slots=True)
class ForeignSupport:
    """The answer for one architecture."""

    architecture: str
    runs: bool
    reason: str
    fix: str = ""
    """What to do if it does not run."""
    by_qemu: bool = False
    """Whether a qemu-user is registered for it, which need not work."""


Runs = Callable[[bytes], bool]


def probe(architecture: str, native: str, *, runs: Runs | None = None, binfmt: Path = _BINFMT) -> ForeignSupport:
    """Whether a machine of the architecture `native` runs programs of `architecture` now."""
    if architecture == native:
        return ForeignSupport(architecture, runs=True, reason="it is this machine's own")
    machine = _MACHINES.get(architecture)
    if machine is None:
        return ForeignSupport(
            architecture,
            runs=False,
            reason=f"deb-mock has no program to try for {architecture}",
            fix="use a builder of that architecture, or a cross build (--host)",
        )
    handler = binfmt / f"qemu-{machine.qemu}"
    by_qemu = handler.exists()
    if (runs or _runs)(program(architecture)) and (not by_qemu or _is_found_in_any_root(handler)):
        how = f"qemu-user runs it ({handler})" if by_qemu else "the processor and the kernel run it"
        return ForeignSupport(architecture, runs=True, reason=how, by_qemu=by_qemu)
    reason, fix = _why_not(machine, binfmt), _fix(architecture, binfmt)
    return ForeignSupport(architecture, runs=False, reason=reason, fix=fix, by_qemu=by_qemu)


def survey() -> tuple[ForeignSupport, ...]:
    """Of every architecture that there is a program for, this machine's own among them."""
    return tuple(probe(architecture, native="") for architecture in _MACHINES)


def require(architecture: str, native: str) -> None:
    """Refuse an architecture whose programs do not run here.

    Raises:
        DeborchError: INVALID_INPUT of class policy, with the way to mend it.
    """
    support = probe(architecture, native)
    if not support.runs:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"this machine builds for {native}, not for {architecture}: {support.reason}",
            hint=support.fix,
        )


def program(architecture: str) -> bytes:
    """An ELF file that does nothing but end with 0."""
    machine = _MACHINES[architecture]
    order = ">" if machine.big_endian else "<"
    wide = machine.bits == 64
    header_bytes, segment_bytes = (64, 56) if wide else (52, 32)
    start = header_bytes + segment_bytes
    size = start + len(machine.ends)
    identity = b"\x7fELF" + bytes((2 if wide else 1, 2 if machine.big_endian else 1, 1)) + bytes(9)
    header = struct.pack(
        f"{order}HHI{'QQQ' if wide else 'III'}IHHHHHH",
        *(2, machine.number, 1, _BASE + start, header_bytes, 0, machine.flags),
        *(header_bytes, segment_bytes, 1, 0, 0, 0),
    )
    if wide:
        segment = struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    else:
        segment = struct.pack(f"{order}IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 0x1000)
    return identity + header + segment + machine.ends


def _runs(content: bytes) -> bool:
    with tempfile.TemporaryDirectory(prefix="deb-mock-probe-") as directory:
        path = Path(directory) / "probe"
        path.write_bytes(content)
        path.chmod(0o700)
        try:
            ended = subprocess.run(
                [path], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TAKES_AT_MOST_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return ended.returncode == 0


def _why_not(machine: _Machine, binfmt: Path) -> str:
    if not (binfmt / "register").exists():
        return "its programs do not run, and binfmt_misc is not mounted"
    handler = binfmt / f"qemu-{machine.qemu}"
    if not handler.exists():
        return f"its programs do not run, and no qemu-{machine.qemu} is registered with binfmt_misc"
    lines = handler.read_text().splitlines()
    if "enabled" not in lines:
        return f"qemu-{machine.qemu} is registered with binfmt_misc and disabled"
    if not _is_found_in_any_root(handler):
        return f"qemu-{machine.qemu} is registered without the flag F, so it is not found in a buildroot"
    return f"qemu-{machine.qemu} is registered with binfmt_misc and does not run them"


def _is_found_in_any_root(handler: Path) -> bool:
    """Whether the interpreter was opened when it was registered."""
    lines = handler.read_text().splitlines()
    return any(line.startswith("flags:") and _FIX_BINARY in line.partition(":")[2] for line in lines)


def _fix(architecture: str, binfmt: Path) -> str:
    mount = "" if (binfmt / "register").exists() else "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc, then "
    may = "" if os.geteuid() == 0 else " as root"
    return (
        f"{mount}apt-get install qemu-user-static binfmt-support{may} (from Debian 13 on qemu-user-binfmt); "
        f"or cross build: --host {architecture}; or use a builder of that architecture"
    )
