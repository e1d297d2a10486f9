"""The first admin key, which nobody can ask for over HTTP: it goes into a file that only the operator reads."""

import logging
from pathlib import Path

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential, parse_credential
from deborch_auth.domain.model import ApiKey
from deborch_auth.handlers import audit
from deborch_auth.handlers.context import Auth
from deborch_auth.store.secret_files import create_secret_file, read_secret_file
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Role

_log = logging.getLogger(__name__)
_NAME = "first admin"
_MAKER = "bootstrap"


async def ensure_first_admin(auth: Auth, path: Path) -> None:
    """While no admin key is active, make one and write it to `path`.

    The file is written first, then the row. A process that dies in between leaves a file without a row: the next
    start takes the key from that file.

    Raises:
        DeborchError: CONFLICT if the file holds a key that is in the database and void.
    """
    try:
        key = await auth.store.add_first_admin(lambda: _first_admin(auth, path), auth.clock.now())
    except DeborchError as error:
        if error.code is not ErrorCode.ALREADY_EXISTS:
            raise
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"no admin key is active, and {path} holds one that was revoked or has expired",
            hint=f"remove {path} and start again: a new admin key is made",
        ) from error
    if key is not None:
        audit.record("key.create", actor=_MAKER, subject=key.prefix)
        _log.warning("the first admin key was made: read it from %s, keep it safe, remove the file", path)


def _first_admin(auth: Auth, path: Path) -> ApiKey:
    credential = _credential_in(path)
    return ApiKey(
        id=credential.id,
        kind=CredentialKind.KEY,
        name=_NAME,
        role=Role.ADMIN,
        scopes=frozenset(),
        host=None,
        digest=credential.digest(auth.pepper),
        created_at=auth.clock.now(),
        created_by=_MAKER,
    )


def _credential_in(path: Path) -> Credential:
    made = new_credential(CredentialKind.KEY)
    try:
        create_secret_file(path, made.reveal())
    except FileExistsError:
        pass
    else:
        return made
    try:
        return parse_credential(read_secret_file(path), CredentialKind.KEY)
    except DeborchError as error:
        if error.code is not ErrorCode.UNAUTHENTICATED:
            raise
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            f"{path} is there and holds no API key",
            hint="remove it, or set DEBORCH_AUTH_BOOTSTRAP_KEY_FILE to another path",
        ) from error
