"""The kernel itself: version, seccomp, control groups, KVM, interpreters for other architectures."""

import fcntl
import os
import re
from pathlib import Path

from deb_mock.doctor.finding import Finding, Status, Subject, tried
from deb_mock.host import foreign
from deborch_shared.sandbox import seccomp as filters
from deborch_shared.sandbox.cgroups import hierarchies
from deborch_shared.sandbox.inside import syscalls
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.spec import Filtering

_OLDEST = (5, 10)
_OLDEST_UNPRIVILEGED = (5, 11)
_VERSION = re.compile(r"(\d+)\.(\d+)")
_CONTAINER_SIGNS = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}
_KVM_GET_API_VERSION, _KVM_API_VERSION = 0xAE00, 12


def kernel(_: Subject) -> Finding:
    """Its version, and whether a container is between."""
    release = os.uname().release
    match = _VERSION.match(release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    container = next((name for sign, name in _CONTAINER_SIGNS.items() if Path(sign).exists()), "")
    found = f"Linux {release}, {os.uname().machine}" + (f", in {container}" if container else "")
    oldest = _OLDEST if in_initial_user_namespace() else _OLDEST_UNPRIVILEGED
    if version < oldest:
        return Finding("kernel", Status.PROBLEM, found, f"Linux {oldest[0]}.{oldest[1]} or later")
    return Finding("kernel", Status.OK, found)


def seccomp(subject: Subject) -> Finding:
    """Whether the filter of builds can be made, and whether it keeps what it should from a process."""
    status = Status.PROBLEM if subject.config.filtering is Filtering.REQUIRED else Status.WARNING
    problem = filters.problem()
    if problem is not None:
        return Finding("seccomp", status, problem.message, problem.hint)
    trial = tried(_filter_calls)
    if trial.succeeded:
        return Finding("seccomp", Status.OK, "the filter of builds works")
    fix = "a kernel with CONFIG_SECCOMP_FILTER, or a container that allows prctl(PR_SET_SECCOMP)"
    return Finding("seccomp", status, f"the filter of builds does not work: {trial.said}", fix)


def _filter_calls() -> str:
    """Load it, and try to make a user namespace, which it refuses."""
    program = filters.program(filters.Policy())
    syscalls.no_new_privileges()
    syscalls.filter_calls(program)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError:
        return ""
    raise OSError("a filter was loaded, but filters nothing")


def control_groups(_: Subject) -> Finding:
    """Whether the memory, processes, CPU and IO of a build can be limited and measured."""
    found = hierarchies.find()
    usable = [f"{name} (v{found.usable[name].version})" for name in hierarchies.CONTROLLERS if name in found.usable]
    shown = f"limits of {', '.join(usable) or 'nothing'}"
    if not found.missing:
        return Finding("control groups", Status.OK, shown)
    return Finding(
        "control groups",
        Status.WARNING,
        f"{shown}; none of {', '.join(found.missing)}",
        "; ".join(dict.fromkeys(found.missing.values())),
    )


def kvm(_: Subject) -> Finding:
    """Virtual machines; builds do without."""
    try:
        with Path("/dev/kvm").open("rb", buffering=0) as device:
            version = fcntl.ioctl(device, _KVM_GET_API_VERSION, 0)
    except OSError as error:
        fix = "nothing for builds: no backend of deb-mock needs it"
        return Finding("kvm", Status.OK, f"/dev/kvm cannot be used ({error.strerror}); builds do not need it", fix)
    usable = version == _KVM_API_VERSION
    return Finding("kvm", Status.OK, "usable; builds do not need it" if usable else f"API version {version}")


def foreign_architectures(_: Subject) -> Finding:
    """Which architectures a program in a buildroot may be for: tried, with the smallest program of each."""
    answers = foreign.survey()
    own = [each.architecture for each in answers if each.runs and not each.by_qemu]
    emulated = [each.architecture for each in answers if each.runs and each.by_qemu]
    broken = [each for each in answers if each.by_qemu and not each.runs]
    parts = [f"{', '.join(own)} by the processor"] if own else []
    parts += [f"{', '.join(emulated)} by qemu-user"] if emulated else []
    parts += [each.reason for each in broken]
    if emulated and not broken:
        return Finding("foreign architectures", Status.OK, "; ".join(parts))
    if not broken:
        parts.append("no qemu-user for others")
    missing = next((each for each in (*broken, *answers) if not each.runs), None)
    fix = (
        ""
        if missing is None
        else f"only for builds of other architectures, such as {missing.architecture}: {missing.fix}"
    )
    return Finding("foreign architectures", Status.WARNING, "; ".join(parts), fix)
