"""API keys: make, list, revoke."""

from datetime import timedelta

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential
from deborch_auth.domain.grants import checked_scopes, refuse_escalation
from deborch_auth.domain.model import ApiKey
from deborch_auth.handlers import audit
from deborch_auth.handlers.context import Auth
from deborch_shared.contract.auth import Key, KeyCreate, NewKey
from deborch_shared.contract.base import PageQuery
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.security import Principal, Role


async def create_key(auth: Auth, wanted: KeyCreate, *, by: Principal) -> NewKey:
    """A new key with at most the permissions of its maker.

    Raises:
        DeborchError: INVALID_INPUT for an unknown scope; FORBIDDEN for more than `by` has itself.
    """
    role = Role(wanted.role)
    scopes = checked_scopes(role, wanted.scopes)
    refuse_escalation(by, role, scopes)
    credential = new_credential(CredentialKind.KEY)
    now = auth.clock.now()
    key = ApiKey(
        id=credential.id,
        kind=credential.kind,
        name=wanted.name,
        role=role,
        scopes=frozenset(scope.value for scope in scopes),
        host=None,
        digest=credential.digest(auth.pepper),
        created_at=now,
        created_by=by.subject,
        expires_at=now + timedelta(seconds=wanted.expires_in_s) if wanted.expires_in_s else None,
    )
    await auth.store.add_key(key)
    audit.record("key.create", actor=by.subject, subject=key.prefix)
    return shown_once(key, credential)


async def list_keys(auth: Auth, query: PageQuery) -> tuple[list[Key], str | None]:
    """One page of keys, newest first, and the cursor of the next.

    Raises:
        DeborchError: INVALID_INPUT if the cursor is not one of ours.
    """
    before = _number(query.cursor)
    found = await auth.store.keys(before=before, limit=query.limit + 1)
    page = found[: query.limit]
    return [shown(key) for _, key in page], str(page[-1][0]) if len(found) > query.limit else None


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{bounded(cursor, 40)!r} is not a cursor", hint="use `next` of the page before"
        )
    return int(cursor)


async def revoke_key(auth: Auth, key_id: str, *, by: Principal) -> Key:
    """Revoke a key; one that is revoked already stays as it is.

    Raises:
        DeborchError: NOT_FOUND; CONFLICT for the last key that can administer.
    """
    key = await auth.store.revoke(key_id, now=auth.clock.now(), by=by.subject)
    if key is None:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"there is no key {bounded(key_id, 40)}",
            hint="the id is the middle part of the key's prefix, 16 hexadecimal digits",
        )
    audit.record("key.revoke", actor=by.subject, subject=key.prefix)
    return shown(key)


def shown(key: ApiKey) -> Key:
    return Key(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        role=key.role,
        scopes=tuple(sorted(key.scopes)),
        host=key.host,
        created_at=key.created_at,
        created_by=key.created_by,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )


def shown_once(key: ApiKey, credential: Credential) -> NewKey:
    """The one answer that holds the secret."""
    return NewKey(**shown(key).model_dump(), api_key=credential.reveal())
