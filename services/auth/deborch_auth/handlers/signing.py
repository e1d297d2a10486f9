"""The keys that sign: made when there is none, renewed before they run out, listed for everyone who verifies."""

from typing import Any

from deborch_auth.domain.signing import SigningKey, new_signing_key, signed, unsealed
from deborch_auth.handlers.context import Auth


async def current_signing_key(auth: Auth) -> SigningKey:
    """The key that signs now; the newest in the database, made if the last one has run out.

    Raises:
        DeborchError: INVALID_SETTING if the pepper is not the one that the database was set up with.
    """
    now = auth.clock.now()
    if auth.signing_key is None or auth.signing_key.signs_until <= now:
        key = await auth.store.newest_signing_key(now, lambda: _make(auth))
        unsealed(auth.pepper, key)
        auth.signing_key = key
    return auth.signing_key


def _make(auth: Auth) -> SigningKey:
    return new_signing_key(
        auth.pepper,
        now=auth.clock.now(),
        lifetime_s=auth.signing_key_lifetime_s,
        token_lifetime_s=auth.token_lifetime_s,
    )


async def sign(auth: Auth, claims: dict[str, Any]) -> str:
    return signed(claims, unsealed(auth.pepper, await current_signing_key(auth)))


async def key_set(auth: Auth) -> dict[str, Any]:
    """The JWK Set (RFC 7517) of all keys whose tokens may still be valid."""
    return {"keys": [dict(key.public) for key in await auth.store.signing_keys(auth.clock.now())]}
