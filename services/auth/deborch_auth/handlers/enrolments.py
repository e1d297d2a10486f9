"""How a builder or a composer gets its service key: an admin allows a name once, the builder redeems that once."""

from datetime import timedelta
from typing import NoReturn

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential, parse_credential
from deborch_auth.domain.model import ApiKey, Enrolment
from deborch_auth.handlers import audit
from deborch_auth.handlers.context import Auth
from deborch_auth.handlers.keys import shown_once
from deborch_auth.store.store import name_taken
from deborch_shared.contract.auth import Enrol, EnrolmentCreate, EnrolmentToken, NewKey
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Principal, Role


async def create_enrolment(auth: Auth, wanted: EnrolmentCreate, *, by: Principal) -> EnrolmentToken:
    """A one-time token for the builder or composer called `wanted.host`.

    Raises:
        DeborchError: NAME_TAKEN while a builder or composer of that name has an active key.
    """
    if await auth.store.active_key_of_host(wanted.host) is not None:
        raise name_taken(wanted.host)
    credential = new_credential(CredentialKind.ENROLMENT)
    now = auth.clock.now()
    enrolment = Enrolment(
        id=credential.id,
        host=wanted.host,
        digest=credential.digest(auth.pepper),
        created_at=now,
        created_by=by.subject,
        expires_at=now + timedelta(seconds=wanted.expires_in_s),
        role=Role(wanted.role),
    )
    await auth.store.add_enrolment(enrolment)
    audit.record("enrolment.create", actor=by.subject, subject=wanted.host)
    return EnrolmentToken(host=wanted.host, enrolment_token=credential.reveal(), expires_at=enrolment.expires_at)


async def enrol(auth: Auth, wanted: Enrol, *, address: str) -> NewKey:
    """The service key of the builder that holds the token; the same one again for the secret that it was made with.

    Raises:
        DeborchError: UNAUTHENTICATED, NAME_TAKEN, INVALID_INPUT for a secret of another form, or RATE_LIMITED after
            too many failures from `address`.
    """
    auth.failures.admit(address)
    try:
        key, credential = await _redeemed(auth, wanted)
    except DeborchError as error:
        if error.code is ErrorCode.UNAUTHENTICATED:
            auth.failures.failed(address)
        audit.record("enrolment.redeem", actor=address, subject=wanted.host, outcome="denied")
        raise
    audit.record("enrolment.redeem", actor=address, subject=key.prefix)
    return shown_once(key, credential)


async def _redeemed(auth: Auth, wanted: Enrol) -> tuple[ApiKey, Credential]:
    enrolment = await _permitted(auth, wanted)
    secret = wanted.secret.get_secret_value() if wanted.secret is not None else None
    credential = new_credential(CredentialKind.HOST, secret)
    key = _service_key(auth, enrolment, credential)
    if await auth.store.redeem(enrolment, key, auth.clock.now()):
        return key, credential
    return await _made_before(auth, enrolment.id, secret) or _refuse_spent(enrolment.host)


async def _made_before(auth: Auth, enrolment_id: str, secret: str | None) -> tuple[ApiKey, Credential] | None:
    """The key that the enrolment was spent on, for who knows its secret already: the first answer did not arrive."""
    enrolment = await auth.store.enrolment(enrolment_id)
    if secret is None or enrolment is None or enrolment.key_id is None:
        return None
    key = await auth.store.key(enrolment.key_id)
    credential = Credential(CredentialKind.HOST, enrolment.key_id, secret)
    if not credential.matches(auth.pepper, key.digest if key else None) or key is None or key.revoked_at is not None:
        return None
    return key, credential


def _refuse_spent(host: str) -> NoReturn:
    raise DeborchError(
        ErrorCode.UNAUTHENTICATED,
        f"the enrolment token of {host} was used before or has expired",
        hint="ask an admin for a new one",
    )


async def _permitted(auth: Auth, wanted: Enrol) -> Enrolment:
    """What the token in `wanted` permits, spent and expired ones too."""
    credential = parse_credential(wanted.enrolment_token.get_secret_value(), CredentialKind.ENROLMENT)
    enrolment = await auth.store.enrolment(credential.id)
    if not credential.matches(auth.pepper, enrolment.digest if enrolment else None) or enrolment is None:
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED, "the enrolment token is not known", hint="ask an admin for a new one"
        )
    if enrolment.host != wanted.host:
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED,
            f"the enrolment token is for a builder called {enrolment.host}",
            hint="give the builder that name, or ask an admin for a token for its own",
        )
    return enrolment


def _service_key(auth: Auth, enrolment: Enrolment, credential: Credential) -> ApiKey:
    return ApiKey(
        id=credential.id,
        kind=credential.kind,
        name=f"{enrolment.role} {enrolment.host}",
        role=enrolment.role,
        scopes=frozenset(),
        host=enrolment.host,
        digest=credential.digest(auth.pepper),
        created_at=auth.clock.now(),
        created_by=enrolment.created_by,
    )
