"""Access tokens: EdDSA JWTs verified offline against the auth service's key set (RFC 7517, RFC 7519, RFC 8037)."""

import asyncio
import base64
import hashlib
import logging
import time
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.security.permissions import Permission, Role
from deborch_shared.security.principal import Principal

ISSUER = "deborch-auth"
AUDIENCE = "deborch"
ALGORITHM = "EdDSA"
"""RFC 8037's name: RFC 9864 prefers "Ed25519", which few verifiers know yet. The library warns at each use."""
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)
CLOCK_SKEW_S = 10
_CACHE_SIZE = 4_096
_REFRESH_AT_MOST_EVERY_S = 5.0

_log = logging.getLogger(__name__)
FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]


class TokenVerifier:
    """Verifies tokens with a key set fetched when a key id is new; verified tokens are cached until they expire.

    While the auth service is away, the keys known so far keep working and unknown key ids are refused.
    """

    def __init__(self, fetch_keys: FetchKeys) -> None:
        self._fetch_keys = fetch_keys
        self._keys: KeySet | None = None
        self._known_ids: frozenset[str] = frozenset()
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """The principal of a valid token.

        Raises:
            DeborchError: UNAUTHENTICATED if it is malformed, forged, expired or of another issuer or audience;
                SERVICE_UNAVAILABLE if no key could be had yet.
        """
        digest = hashlib.sha256(token.encode()).digest()
        cached = self._verified.get(digest)
        if cached is not None and cached[0] > time.time():
            return cached[1]
        claims = await self._claims(token)
        principal = principal_from_claims(claims)
        self._verified[digest] = (float(claims["exp"]) + CLOCK_SKEW_S, principal)
        if len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return principal

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            key_id = str(jwt_header(token).get("kid", ""))
        except (ValueError, TypeError, JoseError):
            raise _refused("the token is not a JWT") from None
        if key_id not in self._known_ids:
            await self._refresh()
        if self._keys is None:
            raise DeborchError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "the auth service's keys could not be fetched yet",
                hint="try again shortly",
            )
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
            jwt.JWTClaimsRegistry(
                leeway=CLOCK_SKEW_S,
                iss={"essential": True, "value": ISSUER},
                aud={"essential": True, "value": AUDIENCE},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:  # TypeError: a header such as {"crit": null}
            raise _refused(f"the token is not valid: {getattr(error, 'error', None) or error}") from None
        return decoded.claims

    async def _refresh(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._fetched_at < _REFRESH_AT_MOST_EVERY_S:
                return
            self._fetched_at = time.monotonic()
            try:
                keys = (await self._fetch_keys())["keys"]
                self._keys = KeySet.import_key_set({"keys": list(keys)})
                self._known_ids = frozenset(str(key["kid"]) for key in keys)
            except (DeborchError, JoseError, ValueError, KeyError, TypeError) as error:
                _log.warning("the auth service's keys could not be had: %s", bounded(str(error), 200))
                self._fetched_at = float("-inf")


def jwt_header(token: str) -> Mapping[str, Any]:
    """The unverified header of a compact JWS."""
    segment = token.split(".", 1)[0]
    header = orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    if not isinstance(header, dict):
        raise TypeError("header is not an object")
    return header


def principal_from_claims(claims: Mapping[str, Any]) -> Principal:
    """What our tokens say: `sub`, `roles`, `scopes`, `host`, `exp`. An unknown role or scope grants nothing."""
    known_roles, known_scopes = {role.value for role in Role}, {permission.value for permission in Permission}
    scopes = claims.get("scopes") or []
    if scopes and not known_scopes.intersection(scopes):
        raise _refused("the token's scopes are all unknown here")
    return Principal(
        subject=str(claims["sub"]),
        roles=frozenset(Role(role) for role in claims.get("roles", []) if role in known_roles),
        scopes=frozenset(Permission(scope) for scope in scopes if scope in known_scopes),
        host=str(claims["host"]) if claims.get("host") else None,
        expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
    )


def _refused(message: str) -> DeborchError:
    return DeborchError(ErrorCode.UNAUTHENTICATED, message, hint="run `deborch login`, or renew the key")
