"""The Linux system calls that Python has no name for, each raising OSError that says what was tried."""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
MNT_DETACH = 2
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""Numbers of the calls of Linux 5.2 and later, the same on every architecture that Debian releases."""
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_IDMAP = 0x1, 0x4, 0x10_0000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_SECCOMP_MODE_FILTER, _FILTER_STEP_BYTES = 2, 8
_SIGKILL = 9
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CAPABILITY_VERSION_3 = 0x2008_0522

with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as _source:
    _LAST_CAPABILITY = int(_source.read())
"""Read before any foreign root is entered."""

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2) of a new file system."""
    arguments = (source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(_libc.mount(*arguments), f"mount {kind} on {target} ({options})")


def bind(source: str, target: str, *, recursive: bool = False) -> None:
    """Make `source` appear at `target` as well."""
    flags = ctypes.c_ulong(MS_BIND | (MS_REC if recursive else 0))
    _checked(_libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None), f"bind {source} on {target}")


def remount_bind(target: str, flags: int) -> None:
    """Set the flags of the bind mount at `target`, beside those that it has: an unprivileged one may not lose any."""
    flags |= os.statvfs(target).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    arguments = (None, os.fsencode(target), None, ctypes.c_ulong(MS_BIND | MS_REMOUNT | flags), None)
    _checked(_libc.mount(*arguments), f"remount {target}")


def make_mounts_private() -> None:
    """Let no mount made from now on travel to another namespace."""
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "make mounts private")


def unmount(target: str, flags: int = 0) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags), f"unmount {target}")


def bind_with_ids(source: str, target: str, user_namespace: int, *, read_only: bool) -> None:
    """Make `source` appear at `target` with its ids mapped as `user_namespace` maps them (mount_setattr(2))."""
    tree = _checked(
        _libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC),
        f"open_tree {source}",
    )
    try:
        flags = _MOUNT_ATTR_IDMAP | _MOUNT_ATTR_NODEV | (_MOUNT_ATTR_RDONLY if read_only else 0)
        attributes = _MountAttributes(flags, 0, 0, user_namespace)
        size = ctypes.sizeof(attributes)
        arguments = (_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), ctypes.c_size_t(size))
        _checked(_libc.syscall(*arguments), f"map the ids of {source}")
        arguments_of_move = (_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
        _checked(_libc.syscall(*arguments_of_move), f"move_mount to {target}")
    finally:
        os.close(tree)


def has_user_attributes(directory: str) -> bool:
    """Whether files there can have extended attributes of users, which an unprivileged overlay writes."""
    try:
        os.setxattr(directory, "user.deborch", b"")
        os.removexattr(directory, "user.deborch")
    except OSError:
        return False
    return True


def pivot_root_here() -> None:
    """Make the working directory, which is a mount point, the root, and forget the old root."""
    _checked(_libc.pivot_root(b".", b"."), "pivot_root")
    unmount(".", MNT_DETACH)
    os.chdir("/")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), f"unshare {flags:#x}")


def enter_user_namespace(descriptor: int) -> None:
    _checked(_libc.setns(descriptor, CLONE_NEWUSER), "setns to the user namespace")


def set_hostname(name: str) -> None:
    encoded = name.encode()
    _checked(_libc.sethostname(encoded, len(encoded)), "sethostname")


def loopback_up() -> None:
    """Bring up `lo` in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", answer)[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def in_new_network(action: Callable[[], None]) -> None:
    """Do `action` in a process that sees a network namespace of its own, and this one's mounts.

    The kernel mounts sysfs only for who owns the network that it shows.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            unshare(CLONE_NEWNET)
            action()
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise OSError(code, f"in a new network namespace: {os.strerror(code)}")


def die_with_parent() -> None:
    """SIGKILL for this process when its parent dies. Cleared by each change of ids: call it after the last one."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl PDEATHSIG")


def close_to_others() -> None:
    """Let no process of the same user trace this one or open its descriptors in /proc. Ends with execve(2)."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl DUMPABLE")


def open_to_others() -> None:
    """The end of `close_to_others`, and of what a change of ids does likewise."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl DUMPABLE")


def become_user(uid: int) -> None:
    """Be `uid` and its group for good, in no other group; but for 0 without any capability."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def filter_calls(program: bytes) -> None:
    """Let the kernel judge each system call from now on by `program`, an array of struct sock_filter (seccomp(2))."""
    steps = ctypes.create_string_buffer(program, len(program))
    whole = _FilterProgram(len(program) // _FILTER_STEP_BYTES, ctypes.addressof(steps))
    arguments = (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(whole), 0, 0)
    _checked(_libc.prctl(*arguments), "filter system calls (prctl SECCOMP)")


def no_new_privileges() -> None:
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl NO_NEW_PRIVS")


def forgo_capability(capability: int) -> None:
    """Let no program that is executed from now on have it."""
    _checked(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), f"drop capability {capability}")


def keep_capabilities(kept: frozenset[int]) -> None:
    """Drop every capability but `kept` from the bounding, permitted, effective and inheritable sets."""
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in kept:
            _checked(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), f"drop capability {capability}")
    mask = sum(1 << capability for capability in kept if capability <= _LAST_CAPABILITY)
    low, high = mask & 0xFFFF_FFFF, mask >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("6I", low, low, 0, high, high, 0)
    _checked(_libc.capset(header, data), "capset")
