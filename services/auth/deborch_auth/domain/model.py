"""What the service keeps: API keys and enrolments, without their secrets."""

from dataclasses import dataclass
from datetime import datetime

from deborch_auth.domain.credentials import CredentialKind, prefix_of
from deborch_shared.security import Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of a person or script (`kind` KEY), or of a builder or composer (`kind` HOST, for `host`).

    `scopes` stay text: one that this release does not know must go on narrowing the key, not vanish from it.
    """

    id: str
    kind: CredentialKind
    name: str
    role: Role
    scopes: frozenset[str]
    host: str | None
    digest: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def prefix(self) -> str:
        return prefix_of(self.kind, self.id)

    @property
    def subject(self) -> str:
        return f"host:{self.host}" if self.host else f"key:{self.id}"

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Permission for one builder or composer (`role`) called `host` to get its key, once, until `expires_at`."""

    id: str
    host: str
    digest: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None = None
    key_id: str | None = None
    """The key that it was spent on."""
    role: Role = Role.BUILDER
