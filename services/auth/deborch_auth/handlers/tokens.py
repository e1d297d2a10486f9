"""An API key for an access token."""

from deborch_auth.domain.credentials import CredentialKind, parse_credential
from deborch_auth.domain.model import ApiKey
from deborch_auth.domain.signing import token_claims
from deborch_auth.handlers import audit
from deborch_auth.handlers.context import Auth
from deborch_auth.handlers.signing import sign
from deborch_shared.contract.auth import AccessToken
from deborch_shared.errors import DeborchError, ErrorCode


async def issue_token(auth: Auth, api_key: str, *, address: str) -> AccessToken:
    """A token for the holder of `api_key`.

    Raises:
        DeborchError: UNAUTHENTICATED, or RATE_LIMITED after too many failures from `address`.
    """
    key = await _authenticated(auth, api_key, address)
    now = auth.clock.now()
    claims = token_claims(key, now=now, lifetime_s=auth.token_lifetime_s)
    token = await sign(auth, claims)
    await auth.store.touch(key.id, now)
    return AccessToken(access_token=token, expires_in_s=claims["exp"] - claims["iat"])


async def _authenticated(auth: Auth, api_key: str, address: str) -> ApiKey:
    try:
        credential = parse_credential(api_key, CredentialKind.KEY, CredentialKind.HOST)
    except DeborchError:
        auth.failures.admit(address)
        auth.failures.failed(address)
        raise
    auth.failures.admit(address, credential.id)
    key = await auth.store.key(credential.id)
    matches = credential.matches(auth.pepper, key.digest if key else None)
    refusal = "the API key is not known" if key is None or not matches else _refusal(auth, key)
    if key is None or refusal:
        auth.failures.failed(address)
        audit.record("token.request", actor=address, subject=credential.prefix, outcome="denied")
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED,
            refusal,
            hint="check the key, or ask an admin for a new one",
            key=credential.prefix,
        )
    auth.failures.succeeded(key.id)
    return key


def _refusal(auth: Auth, key: ApiKey) -> str:
    """Why a key whose secret is right is refused; only its holder learns it."""
    if key.revoked_at is not None:
        return f"the API key was revoked at {key.revoked_at.isoformat(timespec='seconds')}"
    if key.is_expired(auth.clock.now()):
        return "the API key has expired"
    return ""
