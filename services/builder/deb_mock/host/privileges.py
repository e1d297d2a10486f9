"""What of this needs root, said before anything is tried."""

import os

from deb_mock.failures import FailureClass, failure
from deb_mock.host.rootless import refusal
from deborch_shared.errors import ErrorCode


def require_root(effective_uid: int | None = None) -> None:
    """Refuse to go on as a user who is root neither of the host nor of a user namespace.

    Raises:
        DeborchError: NEEDS_ROOT
    """
    if (os.geteuid() if effective_uid is None else effective_uid) == 0:
        return
    why = refusal()
    raise failure(
        FailureClass.CHROOT,
        ErrorCode.NEEDS_ROOT,
        "buildroots need root or subordinate ids: they mount overlays, make namespaces, and hold files of many owners"
        + (f"; {why.message}" if why else ""),
        hint=why.hint if why else "run it as root; the build itself runs as an unprivileged user inside",
    )
