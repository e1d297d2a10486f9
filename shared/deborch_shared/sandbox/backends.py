"""Who can isolate commands on this host. The keeper holds root and mounts with each of them; `spec.Backend` names them.

`namespaces` is our own init (`inside.command`). `bwrap` and `nspawn` start a program of the host for each command
(`inside.by_program`); what they cannot do is said here, as errors.
"""

import shutil
from collections.abc import Mapping
from types import MappingProxyType

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.spec import Backend, Filtering, SandboxSpec

_PROGRAMS: Mapping[Backend, tuple[str, str]] = MappingProxyType(
    {Backend.BWRAP: ("bwrap", "bubblewrap"), Backend.NSPAWN: ("systemd-nspawn", "systemd-container")}
)
"""Program and Debian package of it."""


def problem(backend: Backend, *, unprivileged: bool | None = None, path: str | None = None) -> DeborchError | None:
    """Why `backend` cannot be used here; None: it can be tried."""
    if backend is Backend.QEMU:
        return _refused(
            "the backend qemu is not offered: it would need a kernel and a machine for each buildroot",
            "use namespaces, or bwrap or nspawn; run deb-mock in a virtual machine to have builds in one",
        )
    program, package = _PROGRAMS.get(backend, ("", ""))
    if program and shutil.which(program, path=path) is None:
        return _refused(f"{program} is not installed", f"apt-get install {package}, or use the backend namespaces")
    without_root = not in_initial_user_namespace() if unprivileged is None else unprivileged
    if backend is Backend.NSPAWN and without_root:
        return _refused("systemd-nspawn needs root of the host", "run it as root, or use namespaces or bwrap")
    return None


def check(backend: Backend) -> None:
    """Refuse a backend that cannot be used here.

    Raises:
        DeborchError: SANDBOX_FAILED
    """
    found = problem(backend)
    if found is not None:
        raise found


def check_filtering(spec: SandboxSpec) -> None:
    """Refuse a backend that cannot apply the filter of system calls which `spec` requires.

    Raises:
        DeborchError: SANDBOX_FAILED
    """
    if spec.backend is Backend.NSPAWN and spec.filtering is Filtering.REQUIRED:
        raise _refused(
            "systemd-nspawn cannot apply our filter of system calls, which is required",
            "use the backend namespaces or bwrap, or set isolation.seccomp to preferred to do with nspawn's own filter",
        )


def check_terminal(spec: SandboxSpec) -> None:
    """Refuse a terminal where the backend makes none.

    Raises:
        DeborchError: SANDBOX_FAILED
    """
    if spec.backend is not Backend.NAMESPACES:
        raise _refused(f"the backend {spec.backend} has no terminals", "use the backend namespaces for shells")


def _refused(message: str, hint: str) -> DeborchError:
    return DeborchError(ErrorCode.SANDBOX_FAILED, message, hint=hint)
