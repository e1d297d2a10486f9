"""Who this daemon is to the hub: enrolled once, then an API key in a file, exchanged for tokens of minutes."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from deborch_shared.clock import Clock
from deborch_shared.contract.auth import AccessToken, Enrol, NewKey, TokenRequest
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient
from deborch_shared.worker.backoff import persist
from deborch_shared.worker.durable_files import write_durably

_log = logging.getLogger(__name__)
_RENEW_AT = 0.8
"""Share of a token's life after which it is renewed, so that a call never carries one about to expire."""
_SECRET_BYTES = 32
_ENROL_OPTIONS: Mapping[str, str] = MappingProxyType({"builder": "", "composer": " --composer"})
"""Of the command line, for each kind of daemon."""


async def ensure_key(
    auth: ApiClient, name: str, key_file: Path, enrolment: Callable[[], str | None], clock: Clock, *, kind: str
) -> str:
    """The API key in `key_file`; at first start it is got for the enrolment token and written there.

    `kind`: builder or composer.

    The secret of the key is on disk before the token is spent on it. A start that dies in between, or whose answer is
    lost, is taken up by the next one: auth gives the same key for the same token and secret.

    Raises:
        DeborchError: UNAUTHENTICATED if there is neither key nor token, or auth refuses the token; NAME_TAKEN.
    """
    if known := _read(key_file):
        return known
    token = enrolment()
    if not token:
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED,
            f"{kind} {name} has no key: {key_file} does not exist and no enrolment token is set",
            hint=f"`deborch host enrol {name}{_ENROL_OPTIONS[kind]}` prints a token,"
            f" for DEBORCH_{kind.upper()}_ENROLMENT_TOKEN",
        )
    body = Enrol(host=name, enrolment_token=SecretStr(token), secret=SecretStr(_kept_secret(key_file)))
    key = await persist(lambda: auth.post("/api/v1/enrol", NewKey, body), clock=clock, what="enrolling")
    _write(key_file, key.api_key)
    _secret_file(key_file).unlink(missing_ok=True)
    _log.info("enrolled as %s, key %s is in %s", name, key.prefix, key_file)
    return key.api_key


def _read(key_file: Path) -> str:
    return key_file.read_text().strip() if key_file.exists() else ""


def _write(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, f"{secret}\n".encode())


def _kept_secret(key_file: Path) -> str:
    """The secret of the key to come: that of a start before this one, or a fresh one, on disk either way."""
    path = _secret_file(key_file)
    if known := _read(path):
        return known
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    _write(path, secret)
    return secret


def _secret_file(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.enrolling")


class AccessTokens:
    """A `TokenSource`: keeps one token and renews it before it expires, or when it was refused.

    Also a need of the daemon's: without a token nothing of its work arrives at the hub.
    """

    def __init__(self, auth: ApiClient, api_key: str, clock: Clock) -> None:
        self._auth = auth
        self._request = TokenRequest(api_key=SecretStr(api_key))
        self._clock = clock
        self._token = ""
        self._renew_s = self._expires_s = float("-inf")
        self._renewals = 0
        self._renewing = asyncio.Lock()
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """How auth refused the key at the last try; None if it did not."""
        return self._problem

    async def look(self) -> None:
        """Try the key again."""
        with suppress(DeborchError):
            await self(refused=False)

    async def __call__(self, refused: bool) -> str:
        if not refused and self._clock.monotonic_s() < self._renew_s:
            return self._token
        seen = self._renewals
        async with self._renewing:
            if self._renewals == seen:
                await self._renew(refused)
            return self._token

    async def _renew(self, refused: bool) -> None:
        """Calls that wait for the lock meanwhile share the outcome."""
        try:
            await self._fetch()
        except DeborchError as error:
            if error.code is ErrorCode.UNAUTHENTICATED:
                self._problem = f"auth refuses the key of this host: {error}"
            if refused or not error.temporary or self._clock.monotonic_s() >= self._expires_s:
                raise
            _log.warning("the token is not renewed yet: %s", error)

    async def _fetch(self) -> None:
        token = await self._auth.post("/api/v1/token", AccessToken, self._request)
        now_s = self._clock.monotonic_s()
        self._token = token.access_token
        self._problem = None
        self._renewals += 1
        self._expires_s = now_s + token.expires_in_s
        self._renew_s = now_s + token.expires_in_s * _RENEW_AT
