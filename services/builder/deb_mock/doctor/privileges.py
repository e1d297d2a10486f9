"""Who runs this, and which namespaces the kernel gives."""

import os
from pathlib import Path

from deb_mock.doctor.finding import Finding, Status, Subject, Trial, tried
from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace

_NOBODY = 65_534
_KINDS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "net": syscalls.CLONE_NEWNET,
    "cgroup": syscalls.CLONE_NEWCGROUP,
}
_SYSCTLS = (
    "kernel.unprivileged_userns_clone",
    "user.max_user_namespaces",
    "kernel.apparmor_restrict_unprivileged_userns",
)


def privileges(subject: Subject) -> Finding:
    """Root, or root of a user namespace."""
    if subject.refusal is not None:
        return Finding("privileges", Status.PROBLEM, subject.refusal.message, subject.refusal.hint)
    if in_initial_user_namespace():
        return Finding("privileges", Status.OK, "root")
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    shown = ", ".join(
        f"{inside} is {outside}" + (f" and up, {n} ids" if n != "1" else "") for inside, outside, n in ranges
    )
    if sum(int(count) for _, _, count in ranges) < _NOBODY:
        return Finding(
            "privileges",
            Status.PROBLEM,
            f"root of a user namespace with too few ids ({shown})",
            "give the container, or the user in /etc/subuid and /etc/subgid, 65536 ids",
        )
    return Finding("privileges", Status.OK, f"root of a user namespace: id {shown}")


def namespaces(_: Subject) -> Finding:
    """Those that each command gets."""
    refused = {kind: trial.said for kind, flag in _KINDS.items() if not (trial := _unshared(flag)).succeeded}
    if not refused:
        return Finding("namespaces", Status.OK, ", ".join(_KINDS))
    return Finding(
        "namespaces",
        Status.PROBLEM,
        "; ".join(f"{kind}: {said}" for kind, said in refused.items()),
        "a container that may mount (--privileged, or nesting in LXC), or a kernel with these namespaces; "
        "user.max_*_namespaces must not be 0",
    )


def user_namespaces(_: Subject) -> Finding:
    """Whether users without root could build here too."""
    settings = ", ".join(f"{name} = {value}" for name, value in _sysctls())
    trial = tried(_unshare_as_nobody)
    if trial.succeeded:
        return Finding("user namespaces", Status.OK, f"allowed for every user ({settings})")
    return Finding(
        "user namespaces",
        Status.WARNING,
        f"not for users without root: {trial.said} ({settings})",
        "only for builds without root: sysctl -w user.max_user_namespaces=65536, "
        "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, where the kernel has them",
    )


def _unshared(flag: int) -> Trial:
    def unshare() -> str:
        syscalls.unshare(flag)
        return ""

    return tried(unshare)


def _unshare_as_nobody() -> str:
    if os.geteuid() == 0:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    return ""


def _sysctls() -> list[tuple[str, str]]:
    paths = {name: Path("/proc/sys", name.replace(".", "/")) for name in _SYSCTLS}
    return [(name, path.read_text().strip()) for name, path in paths.items() if path.exists()]
