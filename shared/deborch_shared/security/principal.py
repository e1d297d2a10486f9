"""The caller of one request."""

from dataclasses import dataclass, field
from datetime import datetime

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security.permissions import Permission, Role, permissions_of


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: `subject` such as `key:4f1c` or `host:builder1`, what they are, and until when the token holds.

    `scopes` narrow the roles' permissions; empty means all that the roles grant.
    """

    subject: str
    roles: frozenset[Role]
    scopes: frozenset[Permission] = frozenset()
    host: str | None = None
    expires_at: datetime | None = None
    permissions: frozenset[Permission] = field(init=False)

    def __post_init__(self) -> None:
        granted = permissions_of(self.roles)
        object.__setattr__(self, "permissions", granted & self.scopes if self.scopes else granted)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require_host(self, host: str) -> None:
        """Refuse anyone but the builder called `host`."""
        if self.host != host:
            raise DeborchError(
                ErrorCode.FORBIDDEN,
                f"{self.subject} may not act as host {host}",
                hint=f"use the service key that was issued when {host} was enrolled",
            )
