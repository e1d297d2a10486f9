"""What runs between the engine and a program of the tools root: namespaces, an overlay, and the end of it all.

The *guard* is the engine's child; it makes the namespaces and waits. The *init* is process 1 of the new pid namespace;
it mounts, starts the *program* and reaps. Whichever of engine, guard and init ends, the kernel ends everything below.
Standard library only: it starts once for each program that a compose runs.
"""

import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

SETUP_FAILED = 125
EXEC_FAILED = 127
SAYS = "deb-bootc-compose room: "
_LOCKED_DOWN = MS_NOSUID | MS_NODEV | MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
    ("ptmx", "pts/ptmx"),
)
_SCRATCH = "mode=755,size=1g"
"""For what programs write outside of what is bound."""
_CAP_LINUX_IMMUTABLE = 9
"""ostree makes deployments immutable if it may, and whoever has to remove a half-made one then cannot."""


def main() -> NoReturn:
    """`argv[1]` is the request as JSON, the environment that of the program."""
    _or_fail(lambda: _guard(json.loads(sys.argv[1])))


def _or_fail(body: Any) -> NoReturn:  # noqa: ANN401 - called once, never returns
    try:
        body()
    except BaseException as error:
        os.write(2, f"{SAYS}{error}\n".encode())
    finally:
        os._exit(SETUP_FAILED)


def _guard(request: dict[str, Any]) -> NoReturn:
    syscalls.die_with_parent()
    if os.getppid() != request["owner"]:
        os._exit(SETUP_FAILED)
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
    flags |= syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    if not request["network"]:
        flags |= syscalls.CLONE_NEWNET
    syscalls.unshare(flags)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    alive_read, alive_write = os.pipe2(os.O_CLOEXEC)
    init = os.fork()
    if init == 0:
        os.close(alive_write)
        _or_fail(lambda: _init(request, alive_read))

    def end(*_: object) -> None:
        os.kill(init, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    if not request["terminal"]:
        signal.signal(signal.SIGINT, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    os.close(alive_read)
    _, status = os.waitpid(init, 0)
    os._exit(_code(status))


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _init(request: dict[str, Any], guard_is_alive: int) -> NoReturn:
    syscalls.die_with_parent()
    os.set_blocking(guard_is_alive, False)
    try:
        if os.read(guard_is_alive, 1) == b"":
            os._exit(SETUP_FAILED)
    except BlockingIOError:
        os.close(guard_is_alive)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    syscalls.make_mounts_private()
    syscalls.set_hostname("tools")
    if not request["network"]:
        syscalls.loopback_up()
    _enter(request)
    program = os.fork()
    if program == 0:
        _or_fail(lambda: _program(request))
    while True:
        pid, status = os.wait()
        if pid == program:
            os._exit(_code(status))


def _enter(request: dict[str, Any]) -> None:
    """Lay an overlay over the tools root, so that programs may write where they like and nothing of it stays."""
    os.chdir(request["tools"])
    sources = [os.open(one["source"], os.O_PATH | os.O_CLOEXEC) for one in request["bound"]]
    syscalls.mount("room", "room", "tmpfs", MS_NOSUID | MS_NODEV, _SCRATCH)
    for name in ("upper", "work", "root"):
        os.mkdir(f"room/{name}", 0o755)
    options = "lowerdir=root,upperdir=room/upper,workdir=room/work,index=off,metacopy=off,volatile"
    syscalls.mount("overlay", "room/root", "overlay", 0, options)
    os.chdir("room/root")
    _kernel_file_systems(with_network=request["network"])
    for one, source in zip(request["bound"], sources, strict=True):
        _bind(one, source)
        os.close(source)
    if request["network"]:
        _copy_network_files()
    syscalls.pivot_root_here()


def _kernel_file_systems(*, with_network: bool) -> None:
    syscalls.mount("proc", "proc", "proc", _LOCKED_DOWN)
    if with_network:
        syscalls.in_new_network(lambda: syscalls.mount("sysfs", "sys", "sysfs", MS_RDONLY | _LOCKED_DOWN))
    else:
        syscalls.mount("sysfs", "sys", "sysfs", MS_RDONLY | _LOCKED_DOWN)
    syscalls.mount("dev", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"dev/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        syscalls.bind(f"/dev/{name}", f"dev/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"dev/{name}")
    syscalls.mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
    syscalls.mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for name, target in _DEVICE_LINKS:
        os.symlink(target, f"dev/{name}")


def _bind(one: dict[str, Any], source: int) -> None:
    """A device keeps its meaning only where it was asked for by name."""
    path = f"/proc/self/fd/{source}"
    target = _inside(one["target"], directory=os.path.isdir(path))
    syscalls.bind(path, target, recursive=True)
    flags = MS_NOSUID | (0 if one["source"].startswith("/dev/") else MS_NODEV)
    syscalls.remount_bind(target, flags | (0 if one["writable"] else MS_RDONLY))


def _inside(name: str, *, directory: bool) -> str:
    """The place `name` of the room, made if it is not there. Links of the tools root are not followed."""
    *parents, last = [part for part in name.split("/") if part]
    if {".", ".."} & {*parents, last}:
        raise OSError(f"{name} is no plain path, so nothing can be bound there")
    path = "."
    for part in (*parents, last) if directory else parents:
        path = f"{path}/{part}"
        if not os.path.lexists(path):
            os.mkdir(path, 0o755)
        elif os.path.islink(path) or not os.path.isdir(path):
            raise OSError(f"{name} cannot be bound: the tools root has something else at {path[1:]}")
    if not directory:
        path = f"{path}/{last}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))
    return path


def _copy_network_files() -> None:
    for name in ("etc/resolv.conf", "etc/hosts"):
        if os.path.exists(f"/{name}"):
            with open(f"/{name}", "rb") as source:
                content = source.read()
            if os.path.lexists(name):
                os.unlink(name)
            with open(name, "wb") as target:
                target.write(content)


def _program(request: dict[str, Any]) -> NoReturn:
    if not request["terminal"]:
        os.setsid()
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    syscalls.forgo_capability(_CAP_LINUX_IMMUTABLE)
    os.chdir(request["cwd"])
    argv: list[str] = request["argv"]
    try:
        os.execvpe(argv[0], argv, os.environ)
    except OSError as error:
        os.write(2, f"{SAYS}{argv[0]}: {error.strerror}\n".encode())
        os._exit(EXEC_FAILED)
