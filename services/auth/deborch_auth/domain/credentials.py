"""Credentials as text, `deborch_<kind>_<id>_<secret>`, and their keyed hash.

The secret has 256 bits from the kernel, so HMAC-SHA256 under a pepper is enough: there is nothing to guess that a
slow hash would protect, and a copy of the database without the pepper verifies nothing.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from deborch_shared.errors import DeborchError, ErrorCode

_TEXT = re.compile(r"deborch_(?P<kind>[a-z]+)_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})\Z")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES, _SECRET_BYTES = 8, 32
_NO_DIGEST = bytes(hashlib.sha256().digest_size)


class CredentialKind(StrEnum):
    KEY = "key"
    """A person's or a script's API key."""
    HOST = "host"
    """The service key of one builder."""
    ENROLMENT = "enrol"
    """Gives one builder its service key, once."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential with its secret: exists only while it is made, sent or checked."""

    kind: CredentialKind
    id: str
    secret: str = field(repr=False)

    @property
    def prefix(self) -> str:
        return prefix_of(self.kind, self.id)

    def reveal(self) -> str:
        """The whole text, for its holder's eyes."""
        return f"{self.prefix}_{self.secret}"

    def digest(self, pepper: bytes) -> bytes:
        """What is stored instead: HMAC-SHA256 over kind, id and secret, so that no row can stand in for another."""
        return hmac.digest(pepper, self.reveal().encode(), "sha256")

    def matches(self, pepper: bytes, stored: bytes | None) -> bool:
        """Constant-time comparison; without a stored digest it takes as long and is False."""
        equal = hmac.compare_digest(self.digest(pepper), stored or _NO_DIGEST)
        return equal and stored is not None


def prefix_of(kind: CredentialKind, credential_id: str) -> str:
    """What people and logs see of a credential."""
    return f"deborch_{kind}_{credential_id}"


def new_credential(kind: CredentialKind, secret: str | None = None) -> Credential:
    """A credential with `secret`, which its holder made, or with a fresh one.

    Raises:
        DeborchError: INVALID_INPUT if `secret` is not 32 bytes in base64url.
    """
    if secret is not None and not _SECRET.fullmatch(secret):
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "the secret is not of the right form",
            hint="send 32 random bytes as 43 characters of base64url without padding, or none",
        )
    return Credential(kind, secrets.token_hex(_ID_BYTES), secret or secrets.token_urlsafe(_SECRET_BYTES))


def parse_credential(text: str, *kinds: CredentialKind) -> Credential:
    """The credential in `text` if it is of one of `kinds`.

    Raises:
        DeborchError: UNAUTHENTICATED; the text is never repeated.
    """
    matched = _TEXT.match(text.strip())
    if matched is None or matched["kind"] not in kinds:
        expected = " or ".join(f"deborch_{kind}_…" for kind in kinds)
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED,
            f"what was sent is not a credential of the form {expected}",
            hint="copy the whole text as it was shown when it was made",
        )
    return Credential(CredentialKind(matched["kind"]), matched["id"], matched["secret"])
