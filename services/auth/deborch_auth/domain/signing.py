"""Signing keys (Ed25519, RFC 8037) and the access tokens that they sign.

The private part is kept sealed (JWE, AES-256-GCM) under a key derived from the pepper, so that it can live in the
database, shared by all replicas, without a copy of the database being able to sign.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jwe, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from deborch_auth.domain.model import ApiKey
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import new_event_id
from deborch_shared.security.tokens import ALGORITHM, AUDIENCE, CLOCK_SKEW_S, ISSUER

_SEALING_PURPOSE = b"deborch-auth signing keys"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Signs until `signs_until`; the key set lists it until `expires_at`, when its last token has expired."""

    id: str
    public: Mapping[str, Any]
    sealed: str
    created_at: datetime
    signs_until: datetime
    expires_at: datetime


def new_signing_key(pepper: bytes, *, now: datetime, lifetime_s: int, token_lifetime_s: int) -> SigningKey:
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    sealed = jwe.encrypt_compact(
        {"alg": "dir", "enc": "A256GCM"}, orjson.dumps(key.as_dict(private=True)), _sealing_key(pepper)
    )
    signs_until = now + timedelta(seconds=lifetime_s)
    return SigningKey(
        id=str(key.kid),
        public=key.as_dict(private=False),
        sealed=sealed,
        created_at=now,
        signs_until=signs_until,
        expires_at=signs_until + timedelta(seconds=token_lifetime_s + CLOCK_SKEW_S),
    )


def unsealed(pepper: bytes, key: SigningKey) -> OKPKey:
    """The private key.

    Raises:
        DeborchError: INVALID_SETTING if it was sealed under another pepper.
    """
    try:
        opened = jwe.decrypt_compact(key.sealed, _sealing_key(pepper), algorithms=["dir", "A256GCM"])
    except (JoseError, ValueError) as error:
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            "the pepper is not the one that this database was set up with",
            hint="give back the old pepper file or DEBORCH_AUTH_PEPPER; with another one every API key is void",
        ) from error
    return OKPKey.import_key(orjson.loads(opened.plaintext or b"{}"))


def _sealing_key(pepper: bytes) -> OctKey:
    return OctKey.import_key(hmac.digest(pepper, _SEALING_PURPOSE, "sha256"))


def token_claims(key: ApiKey, *, now: datetime, lifetime_s: int) -> dict[str, Any]:
    """What an access token for `key` says; it never outlives the key."""
    expires_at = now + timedelta(seconds=lifetime_s)
    if key.expires_at is not None:
        expires_at = min(expires_at, key.expires_at)
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": key.subject,
        "roles": [key.role.value],
        "scopes": sorted(key.scopes),
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": new_event_id(),
    }
    return claims | ({"host": key.host} if key.host else {})


def signed(claims: Mapping[str, Any], key: OKPKey) -> str:
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, dict(claims), key, algorithms=[ALGORITHM])
