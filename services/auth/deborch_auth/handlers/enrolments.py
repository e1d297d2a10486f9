"""How a builder gets its service key: an admin allows a name once, the builder redeems that once."""

from datetime import timedelta

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential, parse_credential
from deborch_auth.domain.model import ApiKey, Enrolment
from deborch_auth.handlers import audit
from deborch_auth.handlers.context import Auth
from deborch_auth.handlers.keys import shown_once
from deborch_auth.store.store import enrolment_spent, name_taken
from deborch_shared.contract.auth import Enrol, EnrolmentCreate, EnrolmentToken, NewKey
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Principal, Role


async def create_enrolment(auth: Auth, wanted: EnrolmentCreate, *, by: Principal) -> EnrolmentToken:
    """A one-time token for the builder called `wanted.host`.

    Raises:
        DeborchError: NAME_TAKEN while a builder of that name has an active key.
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
    )
    await auth.store.add_enrolment(enrolment)
    audit.record("enrolment.create", actor=by.subject, subject=wanted.host)
    return EnrolmentToken(host=wanted.host, enrolment_token=credential.reveal(), expires_at=enrolment.expires_at)


async def enrol(auth: Auth, wanted: Enrol, *, address: str) -> NewKey:
    """The service key of the builder that holds the token.

    Raises:
        DeborchError: UNAUTHENTICATED, NAME_TAKEN, or RATE_LIMITED after too many failures from `address`.
    """
    auth.failures.admit(address)
    try:
        enrolment = await _redeemable(auth, wanted)
        credential = new_credential(CredentialKind.HOST)
        key = _service_key(auth, enrolment, credential)
        await auth.store.redeem(enrolment, key, auth.clock.now())
    except DeborchError as error:
        if error.code is ErrorCode.UNAUTHENTICATED:
            auth.failures.failed(address)
        audit.record("enrolment.redeem", actor=address, subject=wanted.host, outcome="denied")
        raise
    audit.record("enrolment.redeem", actor=address, subject=key.prefix)
    return shown_once(key, credential)


async def _redeemable(auth: Auth, wanted: Enrol) -> Enrolment:
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
    if enrolment.used_at is not None or enrolment.expires_at <= auth.clock.now():
        raise enrolment_spent(enrolment.host)
    return enrolment


def _service_key(auth: Auth, enrolment: Enrolment, credential: Credential) -> ApiKey:
    return ApiKey(
        id=credential.id,
        kind=credential.kind,
        name=f"builder {enrolment.host}",
        role=Role.BUILDER,
        scopes=frozenset(),
        host=enrolment.host,
        digest=credential.digest(auth.pepper),
        created_at=auth.clock.now(),
        created_by=enrolment.created_by,
    )
