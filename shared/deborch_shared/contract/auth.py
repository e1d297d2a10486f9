"""The auth service's bodies."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from deborch_shared.contract.base import Input, Name, Output, Secret


class TokenRequest(Input):
    """An API key for an access token of minutes."""

    api_key: Secret


class AccessToken(Output):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's name of the scheme
    expires_in_s: int


class KeyCreate(Input):
    """A new API key; `scopes` narrow the role's permissions (empty: all that the role has)."""

    name: str = Field(min_length=1, max_length=100)
    role: Literal["viewer", "developer", "releaser", "admin"]
    scopes: tuple[str, ...] = ()
    expires_in_s: int | None = Field(None, gt=0, le=10 * 365 * 86400)


class Key(Output):
    """An API key without its secret: `prefix` is what people and logs see of it."""

    id: str
    name: str
    prefix: str
    role: str
    scopes: tuple[str, ...]
    host: str | None = None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKey(Key):
    """The one answer that holds the secret."""

    api_key: str


class EnrolmentCreate(Input):
    """Permission for one builder or composer of that name to get its service key, once."""

    host: Name
    role: Literal["builder", "composer"] = "builder"
    expires_in_s: int = Field(3600, gt=0, le=30 * 86400)


class EnrolmentToken(Output):
    host: str
    enrolment_token: str
    expires_at: datetime


class Enrol(Input):
    """What a builder sends at its first start.

    `secret` is 32 random bytes of its own as base64url, kept before they are sent: the key is made with them, and the
    same token with the same secret gives the same key again, whatever became of the first answer.
    """

    host: Name
    enrolment_token: Secret
    secret: Secret | None = None


class WhoAmI(Output):
    subject: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    host: str | None
    expires_at: datetime | None
