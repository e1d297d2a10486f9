"""Which system calls a sandbox refuses, as a seccomp filter made by the host's libseccomp.

A list of what is refused, not of what is allowed: builds and their tests call almost everything, and the namespaces
and capabilities do the separating. What is refused is what no build needs and what has been the way out of other
containers: parts of the kernel that are large, old, or meant for administrators. It answers with an error that the
program may handle, never with a signal. The same for each instruction set that the machine runs (32-bit, x32).
"""

import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Filtering, SandboxSpec

_LIBRARY = "libseccomp.so.2"
_KERNEL_HAS_IT = Path("/proc/sys/kernel/seccomp")
_ACT_ALLOW = 0x7FFF_0000
_ACT_ERRNO = 0x0005_0000
_CMP_EQ, _CMP_MASKED_EQ, _CMP_GE = 4, 7, 5
_ATTRIBUTE_BAD_ARCHITECTURE, _ATTRIBUTE_OPTIMIZE = 2, 8
_OPTIMIZE_AS_TREE = 2
_NATIVE = 0
_NO_SUCH_CALL = -1

MODULES = ("create_module", "delete_module", "finit_module", "get_kernel_syms", "init_module", "query_module")
TRACING = ("bpf", "lookup_dcookie", "perf_event_open", "syslog", "userfaultfd")
MACHINE = ("kexec_file_load", "kexec_load", "reboot", "vhangup", "ioperm", "iopl", "vm86", "vm86old")
DISKS = ("acct", "quotactl", "quotactl_fd", "swapoff", "swapon")
OLD = ("nfsservctl", "sysfs", "_sysctl", "uselib")
CLOCKS = ("clock_settime", "clock_settime64", "settimeofday", "stime")
KEYS = ("add_key", "keyctl", "request_key")
"""Key rings know no namespaces."""
HANDLES = ("open_by_handle_at", "fanotify_init", "fanotify_mark")
RINGS = ("io_uring_setup", "io_uring_enter", "io_uring_register")
"""Their work is not seen by this filter."""
REFUSED = (*MODULES, *TRACING, *MACHINE, *DISKS, *OLD, *CLOCKS, *KEYS, *HANDLES, *RINGS)
MOUNTS = ("mount", "umount", "umount2", "pivot_root", "open_tree", "open_tree_attr", "move_mount", "mount_setattr")
NEW_MOUNTS = ("fsopen", "fsconfig", "fsmount", "fspick", "setns")
"""Of use only with a namespace of one's own."""
SYNCS = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "sync_file_range2", "arm_sync_file_range")
_CLONE_NEWUSER = 0x1000_0000
_FAMILIES = frozenset({socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK})
_FAMILIES_END = 64
_SOCKET_TYPE_MASK = 0xF
_TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, asm-generic/ioctls.h: typing into another one's terminal."""
_ARCHITECTURES = MappingProxyType(
    {
        "x86_64": (0xC000_003E, 0x4000_0003, 0x4000_003E),
        "i686": (0x4000_0003,),
        "aarch64": (0xC000_00B7, 0x4000_0028),
        "armv7l": (0x4000_0028,),
        "ppc64le": (0xC000_0015,),
        "s390x": (0x8000_0016, 0x0000_0016),
        "riscv64": (0xC000_00F3,),
        "loongarch64": (0xC000_0102,),
    }
)
"""linux/audit.h, by the machine of uname(2): first what the kernel is made for, then what it can run as well."""
_X86_32, _X32, _S390, _S390X = 0x4000_0003, 0x4000_003E, 0x0000_0016, 0x8000_0016
_SOCKETS_BY_ONE_CALL = frozenset({_X86_32, _S390, _S390X})
"""socketcall(2) takes its arguments in memory, where a filter cannot look. The capabilities hold there."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one sandbox wants of the filter."""

    no_sync: bool = False
    """fsync(2) and its family succeed without doing anything."""
    nested: bool = False
    """User namespaces may be made inside, and mounts in them."""


def for_spec(spec: SandboxSpec) -> bytes | None:
    """The filter of a sandbox; None: it runs without.

    Raises:
        DeborchError: SANDBOX_FAILED if it must have one and this host cannot.
    """
    if spec.filtering is Filtering.OFF:
        return None
    try:
        return program(Policy(no_sync=spec.no_sync, nested=spec.nested_namespaces))
    except DeborchError:
        if spec.filtering is Filtering.REQUIRED:
            raise
        return None


def problem() -> DeborchError | None:
    """Why this host cannot filter; None: it can."""
    if not _KERNEL_HAS_IT.is_dir():
        return _failure("this kernel has no seccomp filters")
    try:
        program(Policy())
    except DeborchError as error:
        return error
    return None


class _Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


@cache
def program(policy: Policy, machine: str | None = None) -> bytes:
    """The filter as an array of struct sock_filter.

    Raises:
        DeborchError: SANDBOX_FAILED if this host cannot make it.
    """
    machine = os.uname().machine if machine is None else machine
    if machine not in _ARCHITECTURES:
        raise _failure(f"no filter is known for {machine}")
    library = _load()
    first, *others = _ARCHITECTURES[machine]
    whole = _part(library, first, policy)
    try:
        for architecture in others:
            # the part belongs to the whole from then on
            merged = library.seccomp_merge(whole, _part(library, architecture, policy))
            _checked(merged, f"filter the architecture {architecture:#x}")
        return _exported(library, whole)
    finally:
        library.seccomp_release(whole)


def _part(library: ctypes.CDLL, architecture: int, policy: Policy) -> ctypes.c_void_p:
    """A filter for one instruction set, because not all rules can be the same."""
    part = ctypes.c_void_p(library.seccomp_init(_ACT_ALLOW))
    refused = library.seccomp_attr_set(part, _ATTRIBUTE_BAD_ARCHITECTURE, _ACT_ERRNO | errno.ENOSYS)
    _checked(refused, "refuse other architectures")
    library.seccomp_attr_set(part, _ATTRIBUTE_OPTIMIZE, _OPTIMIZE_AS_TREE)
    if architecture != library.seccomp_arch_native():
        _checked(library.seccomp_arch_add(part, architecture), f"add the architecture {architecture:#x}")
        _checked(library.seccomp_arch_remove(part, _NATIVE), "remove the native architecture")
    _add_rules(library, part, architecture, policy)
    return part


def _add_rules(library: ctypes.CDLL, part: ctypes.c_void_p, architecture: int, policy: Policy) -> None:
    def refuse(name: str, number: int, *comparisons: _Comparison) -> None:
        call = library.seccomp_syscall_resolve_name(name.encode())
        if call == _NO_SUCH_CALL:
            return
        array = (_Comparison * max(len(comparisons), 1))(*comparisons)
        result = library.seccomp_rule_add_array(part, _ACT_ERRNO | number, call, len(comparisons), array)
        _checked(result, f"refuse {name}", errno.EDOM)

    for name in REFUSED:
        refuse(name, errno.EPERM)
    for request in _TERMINAL_INJECTIONS:
        refuse("ioctl", errno.EPERM, _Comparison(1, _CMP_MASKED_EQ, 0xFFFF_FFFF, request))
    if architecture not in _SOCKETS_BY_ONE_CALL:
        for arguments in _refused_sockets():
            refuse("socket", errno.EAFNOSUPPORT if len(arguments) == 1 else errno.EPERM, *arguments)
    if not policy.nested:
        for name in (*MOUNTS, *NEW_MOUNTS):
            refuse(name, errno.EPERM)
        flags = 1 if architecture in (_S390, _S390X) else 0
        refuse("clone", errno.EPERM, _Comparison(flags, _CMP_MASKED_EQ, _CLONE_NEWUSER, _CLONE_NEWUSER))
        refuse("unshare", errno.EPERM, _Comparison(0, _CMP_MASKED_EQ, _CLONE_NEWUSER, _CLONE_NEWUSER))
        refuse("clone3", errno.ENOSYS)  # its flags are in memory; the C library then uses clone
    if policy.no_sync:
        for name in SYNCS:
            refuse(name, 0)


def _refused_sockets() -> Iterator[tuple[_Comparison, ...]]:
    """Families that no build speaks, and packets made by hand."""
    for family in range(_FAMILIES_END):
        if family not in _FAMILIES:
            yield (_Comparison(0, _CMP_EQ, family, 0),)
    yield (_Comparison(0, _CMP_GE, _FAMILIES_END, 0),)
    for family in (socket.AF_INET, socket.AF_INET6):
        raw = _Comparison(1, _CMP_MASKED_EQ, _SOCKET_TYPE_MASK, socket.SOCK_RAW)
        yield (_Comparison(0, _CMP_EQ, family, 0), raw)


def _exported(library: ctypes.CDLL, whole: ctypes.c_void_p) -> bytes:
    with os.fdopen(os.memfd_create("filter", os.MFD_CLOEXEC), "w+b") as target:
        _checked(library.seccomp_export_bpf(whole, target.fileno()), "export the filter")
        target.seek(0)
        return target.read()


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise _failure(f"{_LIBRARY} is missing") from error
    context, number = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.restype = context
    library.seccomp_init.argtypes = [number]
    library.seccomp_release.argtypes = [context]
    library.seccomp_merge.argtypes = [context, context]
    library.seccomp_arch_native.restype = number
    library.seccomp_arch_add.argtypes = [context, number]
    library.seccomp_arch_remove.argtypes = [context, number]
    library.seccomp_attr_set.argtypes = [context, ctypes.c_int, number]
    library.seccomp_rule_add_array.argtypes = [context, number, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    library.seccomp_export_bpf.argtypes = [context, ctypes.c_int]
    return library


def _checked(result: int, what: str, *fine: int) -> None:
    if result < 0 and -result not in fine:
        raise _failure(f"libseccomp cannot {what}: {os.strerror(-result)}")


def _failure(problem: str) -> DeborchError:
    return DeborchError(
        ErrorCode.SANDBOX_FAILED,
        f"system calls cannot be filtered: {problem}",
        hint="install libseccomp2 2.5 or later, or allow buildroots without the filter",
    )
