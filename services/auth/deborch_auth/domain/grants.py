"""What a new key may be given: known scopes of its role, and nothing that its maker lacks."""

from collections.abc import Iterable
from difflib import get_close_matches

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.security import ROLES, Permission, Principal, Role


def checked_scopes(role: Role, scopes: Iterable[str]) -> frozenset[Permission]:
    """`scopes` as permissions of `role`.

    Raises:
        DeborchError: INVALID_INPUT for an unknown scope, naming the nearest, and for one that the role lacks.
    """
    return frozenset(_checked(role, scope) for scope in scopes)


def _checked(role: Role, scope: str) -> Permission:
    granted = sorted(permission.value for permission in ROLES[role])
    if scope not in {permission.value for permission in Permission}:
        nearest = get_close_matches(scope, [permission.value for permission in Permission], n=1, cutoff=0.4)
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"there is no scope {bounded(scope, 80)!r}",
            hint=f"did you mean {nearest[0]}?" if nearest else f"the role {role} has: {', '.join(granted)}",
        )
    if scope not in granted:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"the role {role} does not have {scope}: a scope narrows a role and never widens it",
            hint=f"choose another role, or of: {', '.join(granted)}",
        )
    return Permission(scope)


def refuse_escalation(maker: Principal, role: Role, scopes: frozenset[Permission]) -> None:
    """Refuse a key with permissions that `maker` lacks."""
    wanted = ROLES[role] & scopes if scopes else ROLES[role]
    if lacking := sorted(wanted - maker.permissions):
        raise DeborchError(
            ErrorCode.FORBIDDEN,
            f"{maker.subject} cannot give away what it lacks: {', '.join(lacking)}",
            hint="narrow the new key with scopes, or use a key that has these permissions",
        )
