"""One log line for each act on rights: who did what to which object, and whether it was allowed."""

import logging
from typing import Literal

_log = logging.getLogger("deborch_auth.audit")


def record(action: str, *, actor: str, subject: str, outcome: Literal["allowed", "denied"] = "allowed") -> None:
    """`actor` did `action` to `subject` (a prefix or a name, never a secret)."""
    _log.info(
        "%s %s %s: %s",
        actor,
        action,
        subject,
        outcome,
        extra={"audit": {"actor": actor, "action": action, "object": subject, "outcome": outcome}},
    )
