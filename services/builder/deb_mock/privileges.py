"""What of this needs root, said before anything is tried."""

import os

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode


def require_root(effective_uid: int | None = None) -> None:
    """Refuse to go on as another user.

    Raises:
        DeborchError: NEEDS_ROOT
    """
    if (os.geteuid() if effective_uid is None else effective_uid) != 0:
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.NEEDS_ROOT,
            "buildroots need root: they mount overlays, make namespaces with ids of their own, "
            "and hold files of many owners",
            hint="run it as root, for example with sudo; the build itself runs as an unprivileged user inside",
        )
