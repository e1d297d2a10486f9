"""One command isolated by a program of the host, bubblewrap or systemd-nspawn, in the root that the keeper holds.

*guard* and *init* are ours, as in `command`: the guard shows the root where the program finds it and makes a pid
namespace, whose init starts the program and ends with it. So nothing is left when either of them, or the keeper, is
killed, whatever the program does. What systemd-nspawn writes to /run is in a /run of its own.
"""

import os
import resource
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.command import (
    SETUP_FAILED,
    Job,
    close_all_but,
    in_child,
    limit_processes,
    oom_like_others,
    reap_until,
    report,
)
from deborch_shared.sandbox.inside.id_map import make_user_namespace
from deborch_shared.sandbox.inside.root import HIDDEN_PROC

_PLACE = "/mnt"
"""Of every Debian; what is there is hidden from the guard and what it starts only."""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_NSPAWN_LOCK": "0",
    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
}
"""Commands of one sandbox may run at the same time, and share its /tmp."""
_ROOT_KEEPS = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
)
"""As `command.ROOT_KEEPS`."""
_USER_BOUND = frozenset({"CAP_SETGID", "CAP_SETUID"})
"""What a command of another user starts from with systemd-nspawn."""
_ROOT_ONLY = tuple(name for name in _ROOT_KEEPS if name not in _USER_BOUND)
_NSPAWN_DROPS = (
    "CAP_AUDIT_CONTROL,CAP_DAC_READ_SEARCH,CAP_IPC_OWNER,CAP_LEASE,CAP_LINUX_IMMUTABLE,CAP_MKNOD,CAP_NET_ADMIN,"
    "CAP_NET_BROADCAST,CAP_NET_RAW,CAP_SYS_ADMIN,CAP_SYS_BOOT,CAP_SYS_NICE,CAP_SYS_PTRACE,CAP_SYS_RESOURCE,"
    "CAP_SYS_TTY_CONFIG"
)
"""Of what systemd-nspawn(1) keeps by itself."""
_NSPAWN_REFUSES = "~@mount unshare setns bpf perf_event_open userfaultfd io_uring_setup add_key request_key keyctl"
"""Beside its own filter, which is a list of what is allowed. It takes no filter of ours."""


def guard(job: Job, keeper: int) -> NoReturn:
    """Make a pid namespace, and wait for the end of its init."""
    syscalls.die_with_parent()
    if os.getppid() != keeper:
        os._exit(SETUP_FAILED)
    close_all_but(job.output, job.report, job.user_namespace, job.stdin)
    oom_like_others()
    syscalls.unshare(syscalls.CLONE_NEWNS)
    job.root.show_at(_PLACE, network_files=job.request["network"])
    if job.request["backend"] == "nspawn":
        syscalls.mount("run", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    syscalls.unshare(syscalls.CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        in_child(job, lambda: _init(job))
    report(job, init=init)
    os.close(job.report)
    os.close(job.output)
    os.waitpid(init, 0)
    os._exit(0)


def _init(job: Job) -> NoReturn:
    """Start the program, and end with it: the kernel then ends what it started."""
    syscalls.die_with_parent()
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    program = os.fork()
    if program == 0:
        in_child(job, lambda: _become_program(job))
    reap_until(program, job)


def _become_program(job: Job) -> NoReturn:
    request = job.request
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY) if job.stdin is None else job.stdin, 0)
    os.dup2(job.output, 1)
    os.dup2(job.output, 2)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_processes()
    calls = _readable(request["filter"]) if request["backend"] == "bwrap" and request["filter"] else None
    users = _become_user(job) if request["backend"] == "bwrap" else None
    argv = _ARGV[request["backend"]](request, calls, users)
    close_all_but(job.report, calls, users)
    os.execvpe(argv[0], argv, _ENVIRONMENT)


def _become_user(job: Job) -> int | None:
    """Let bubblewrap start as the user of the command, so that nothing in the root has to give up root's rights.

    It has the capabilities that it needs in a user namespace with the same ids, whose descriptor is returned, alone.
    """
    uid = int(job.request["uid"])
    if job.user_namespace is not None:
        syscalls.enter_user_namespace(job.user_namespace)
        syscalls.become_user(0)
    users = make_user_namespace(owner=uid) if uid else None
    syscalls.become_user(uid)
    if users is not None:
        os.set_inheritable(users, True)
    return users


def _readable(content: bytes) -> int:
    descriptor = os.memfd_create("filter", 0)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _bwrap(request: Mapping[str, Any], calls: int | None, users: int | None) -> list[str]:
    hidden = [word for path in HIDDEN_PROC if os.path.exists(path) for word in ("--ro-bind", "/dev/null", path)]
    return [
        "bwrap",
        *("--bind", _PLACE, "/", "--proc", "/proc", "--dev", "/dev"),
        *hidden,
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"),
        *(() if request["network"] else ("--unshare-net",)),
        *("--hostname", request["hostname"], "--chdir", request["cwd"]),
        *("--cap-drop", "ALL"),
        *(word for name in (() if request["uid"] else _ROOT_KEEPS) for word in ("--cap-add", name)),
        *(() if users is None else ("--userns", str(users))),
        *(() if calls is None else ("--seccomp", str(calls))),
        "--",
        *_command(request),
    ]


def _nspawn(request: Mapping[str, Any], _: int | None, __: int | None) -> list[str]:
    ids, uid = request["ids"], int(request["uid"])
    users = ("--private-users=no",) if ids is None else (f"--private-users={ids}", "--private-users-ownership=off")
    return [
        *("systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--as-pid2", "--console=pipe"),
        *(f"--directory={_PLACE}", f"--hostname={request['hostname']}", f"--chdir={request['cwd']}"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        *users,
        *(() if request["network"] else ("--private-network",)),
        f"--drop-capability={','.join((_NSPAWN_DROPS, *(_ROOT_ONLY if uid else ())))}",
        *(("--no-new-privileges=yes",) if uid else ()),
        f"--system-call-filter={_NSPAWN_REFUSES}",
        "--",
        *(_by_setpriv(uid) if uid else ()),
        *_command(request),
    ]


def _by_setpriv(uid: int) -> Sequence[str]:
    """systemd-nspawn changes ids only by programs of the root. One that lies stays root inside, with `_USER_BOUND`."""
    user = ("/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    return (*user, "--inh-caps=-all", "--ambient-caps=-all", "--")


def _command(request: Mapping[str, Any]) -> Sequence[str]:
    """Run the command in its own environment. By a program of the root: all privileges are gone by then."""
    variables = [f"{name}={value}" for name, value in request["env"].items()]
    return ["/usr/bin/env", "-i", *variables, *request["argv"]]


_ARGV: Mapping[str, Callable[[Mapping[str, Any], int | None, int | None], list[str]]] = MappingProxyType(
    {"bwrap": _bwrap, "nspawn": _nspawn}
)
