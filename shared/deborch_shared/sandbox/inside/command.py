"""One command in namespaces of its own, by three processes.

The *guard* (child of the keeper) makes the namespaces and waits; the *init* is process 1 of the new pid namespace,
mounts, drops what it can and reaps; the *program* is what was asked for. When the program ends, init ends, and
the kernel ends everything else in the namespace before the guard sees it. If the keeper dies, the guard dies,
and with it init and all the rest (PDEATHSIG).
"""

import array
import contextlib
import fcntl
import json
import os
import resource
import select
import socket
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.root import Root

_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_FSETID, _CAP_KILL, _CAP_SETGID, _CAP_SETUID = 0, 1, 3, 4, 5, 6, 7
_CAP_SETPCAP, _CAP_NET_BIND_SERVICE, _CAP_SYS_CHROOT, _CAP_AUDIT_WRITE, _CAP_SETFCAP = 8, 10, 18, 29, 31
ROOT_KEEPS = frozenset(
    {
        _CAP_CHOWN,
        _CAP_DAC_OVERRIDE,
        _CAP_FOWNER,
        _CAP_FSETID,
        _CAP_KILL,
        _CAP_SETGID,
        _CAP_SETUID,
        _CAP_SETPCAP,
        _CAP_NET_BIND_SERVICE,
        _CAP_SYS_CHROOT,
        _CAP_AUDIT_WRITE,
        _CAP_SETFCAP,
    }
)
"""What apt, dpkg and maintainer scripts need; nothing that mounts, loads, traces or configures the kernel."""
_MAX_PROCESSES = 16_384
"""Of one user at a time; what is parallel by the hundred stays far below. Bounds a fork bomb, gives no fair share."""
_TIOCSPTLCK, _TIOCGPTPEER = 0x4004_5431, 0x5441
"""asm-generic/ioctls.h: unlock a pseudo-terminal; open its other end without a path."""
_OOM_SCORE = "/proc/self/oom_score_adj"
_SPARED = "-1000"
SETUP_FAILED = 125
_EXEC_FAILED = 127


@dataclass(frozen=True)
class Job:
    """What the three processes pass down."""

    root: Root
    request: dict[str, Any]
    user_namespace: int | None
    output: int
    report: int
    stdin: int | None


def start(
    root: Root,
    request: dict[str, Any],
    user_namespace: int | None,
    output: int,
    stdin: int | None,
    by: "Callable[[Job, int], NoReturn] | None" = None,
) -> tuple[int, int]:
    """Start the command of `request`, its output into the descriptor `output`, its input from `stdin` or nothing.

    With "terminal" in the request, `output` is a Unix socket: a pseudo-terminal of the root's own is made, its
    master is sent there, and the command runs on the other end. `by`: what the guard does, if not `guard`.

    Returns:
        The pid of the guard, and a descriptor on which reports arrive as JSON lines: {"init": pid}, then either
        {"returncode": n} or {"error": text, "missing": whether the program could not be executed}.
    """
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    keeper = os.getpid()
    job = Job(root, request, user_namespace, output, report_write, stdin)
    child = os.fork()
    if child == 0:
        in_child(job, lambda: (by or guard)(job, keeper))
    os.close(report_write)
    return child, report_read


def spare_from_oom() -> None:
    """The keeper is in the group that it watches: let the kernel end a command there before it. Needs root."""
    with contextlib.suppress(OSError), open(_OOM_SCORE, "w", encoding="ascii") as target:
        target.write(_SPARED)


def oom_like_others() -> None:
    """The end of `spare_from_oom`."""
    with contextlib.suppress(OSError), open(_OOM_SCORE, "w", encoding="ascii") as target:
        target.write("0")


def in_child(job: Job, body: Callable[[], NoReturn]) -> NoReturn:
    """Run `body` in a forked process, which must never return into the keeper's code."""
    try:
        body()
    except BaseException as error:
        with contextlib.suppress(OSError):
            report(job, error=f"{type(error).__name__}: {error}", missing=False)
    finally:
        os._exit(SETUP_FAILED)


def report(job: Job, **message: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """One line to the keeper."""
    os.write(job.report, json.dumps(message).encode() + b"\n")


def guard(job: Job, keeper: int) -> NoReturn:
    """Make the namespaces, and wait for the end of init."""
    syscalls.die_with_parent()
    if os.getppid() != keeper:
        os._exit(SETUP_FAILED)
    close_all_but(job.output, job.report, job.user_namespace, job.stdin)
    oom_like_others()
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
    flags |= syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    if not job.request["network"]:
        flags |= syscalls.CLONE_NEWNET
    syscalls.unshare(flags)
    alive_read, alive_write = os.pipe2(os.O_CLOEXEC)
    init = os.fork()
    if init == 0:
        os.close(alive_write)
        in_child(job, lambda: _init(job, alive_read))
    report(job, init=init)
    os.close(job.report)
    os.close(job.output)
    os.waitpid(init, 0)
    os._exit(0)


def close_all_but(*kept: int | None) -> None:
    """Close every descriptor above 2 that is not in `kept`."""
    first = 3
    for descriptor in sorted(number for number in kept if number is not None and number > 2):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _init(job: Job, guard_is_alive: int) -> NoReturn:
    syscalls.die_with_parent()
    syscalls.set_hostname(job.request["hostname"])
    if not job.request["network"]:
        syscalls.loopback_up()
    job.root.enter(network_files=job.request["network"])
    _import_nothing_more()
    if job.user_namespace is not None:
        syscalls.enter_user_namespace(job.user_namespace)
        os.close(job.user_namespace)
    syscalls.become_user(0)
    _filter_calls(job.request["filter"], required=job.request["filter_required"])
    syscalls.keep_capabilities(ROOT_KEEPS)
    syscalls.close_to_others()
    syscalls.die_with_parent()
    if select.select([guard_is_alive], [], [], 0)[0]:
        os._exit(SETUP_FAILED)
    program = os.fork()
    if program == 0:
        os.close(guard_is_alive)
        in_child(job, lambda: _program(job))
    silence = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2, job.output, job.stdin):
        if descriptor is not None:
            os.dup2(silence, descriptor)
    reap_until(program, job)


def _filter_calls(program: bytes | None, *, required: bool) -> None:
    try:
        if program is not None:
            syscalls.filter_calls(program)
    except OSError:
        if required:
            raise


def _import_nothing_more() -> None:
    """From here on the file system is foreign: no module may be loaded from it."""
    sys.path.clear()
    sys.meta_path.clear()


def reap_until(program: int, job: Job) -> NoReturn:
    """Collect orphans until the program ends, report how it did, and end; the kernel ends what is left."""
    while True:
        pid, status = os.wait()
        if pid == program:
            with contextlib.suppress(OSError):
                report(job, returncode=os.waitstatus_to_exitcode(status))
            os._exit(0)


def _program(job: Job) -> NoReturn:
    os.setsid()
    uid = int(job.request["uid"])
    if job.request.get("terminal"):
        _take_terminal(job, uid)
    else:
        os.dup2(os.open("/dev/null", os.O_RDONLY) if job.stdin is None else job.stdin, 0)
        os.dup2(job.output, 1)
        os.dup2(job.output, 2)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_processes()
    if uid:
        syscalls.keep_capabilities(frozenset({_CAP_SETGID, _CAP_SETUID}))
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        syscalls.no_new_privileges()
    os.chdir(job.request["cwd"])
    close_all_but(job.report)
    _execute(job)


def _take_terminal(job: Job, uid: int) -> None:
    """Make a pseudo-terminal of this root, send its master out, and have the other end as controlling terminal."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    terminal = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    rows, columns = job.request["terminal"]
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
    os.fchown(terminal, uid, -1)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    with socket.socket(fileno=job.output) as outside:
        outside.sendmsg([b"t"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    os.close(master)
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)


def limit_processes() -> None:
    """Bound those of one user."""
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    limit = _MAX_PROCESSES if most == resource.RLIM_INFINITY else min(most, _MAX_PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _execute(job: Job) -> NoReturn:
    argv: list[str] = job.request["argv"]
    try:
        os.execvpe(argv[0], argv, job.request["env"])
    except OSError as error:
        report(job, error=f"{argv[0]}: {error.strerror}", missing=True)
        os._exit(_EXEC_FAILED)
