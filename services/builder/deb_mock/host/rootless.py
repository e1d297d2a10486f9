"""The command line of a user without root: it goes on as root of a user namespace, by subordinate ids.

Everything after that is as for root: files of many owners, overlays, namespaces. It is entered once and before anything
else, because a process with threads cannot.
"""

import os
from contextvars import ContextVar

from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.user_namespace import become_root, subordinate_ids

_ENTERED: ContextVar[bool] = ContextVar("entered", default=False)
_REFUSAL: ContextVar[DeborchError | None] = ContextVar("refusal", default=None)


def enter_user_namespace() -> None:
    """Become root of a new user namespace, unless this is root; if that cannot be, `refusal` tells why."""
    if os.geteuid() == 0:
        return
    try:
        become_root(subordinate_ids())
    except DeborchError as error:
        _REFUSAL.set(error)
    else:
        _ENTERED.set(True)


def refusal() -> DeborchError | None:
    """Why this process is not root of anything; None if it is, or if it was not tried."""
    return _REFUSAL.get()


def is_user_without_root() -> bool:
    """Whether whoever started this is not root, so that directories of the system are not theirs."""
    return _ENTERED.get() or os.geteuid() != 0
