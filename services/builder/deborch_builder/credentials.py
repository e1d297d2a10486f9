"""Who this builder is to the hub: enrolled once, then an API key in a file, exchanged for tokens of minutes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from deborch_builder.backoff import persist
from deborch_builder.durable_files import write_durably
from deborch_shared.clock import Clock
from deborch_shared.contract.auth import AccessToken, Enrol, NewKey, TokenRequest
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient

_log = logging.getLogger(__name__)
_RENEW_AT = 0.8
"""Share of a token's life after which it is renewed, so that a call never carries one about to expire."""


async def ensure_key(
    auth: ApiClient, name: str, key_file: Path, enrolment: Callable[[], str | None], clock: Clock
) -> str:
    """The API key in `key_file`; at first start it is got for the enrolment token and written there.

    Raises:
        DeborchError: UNAUTHENTICATED if there is neither key nor token, or auth refuses the token; NAME_TAKEN.
    """
    if known := _read(key_file):
        return known
    token = enrolment()
    if not token:
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED,
            f"builder {name} has no key: {key_file} does not exist and no enrolment token is set",
            hint=f"`deborch host enrol {name}` prints a token for DEBORCH_BUILDER_ENROLMENT_TOKEN",
        )
    body = Enrol(host=name, enrolment_token=SecretStr(token))
    key = await persist(lambda: auth.post("/api/v1/enrol", NewKey, body), clock=clock, what="enrolling")
    _write(key_file, key.api_key)
    _log.info("enrolled as %s, key %s is in %s", name, key.prefix, key_file)
    return key.api_key


def _read(key_file: Path) -> str:
    return key_file.read_text().strip() if key_file.exists() else ""


def _write(key_file: Path, api_key: str) -> None:
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(key_file, f"{api_key}\n".encode())


class AccessTokens:
    """A `TokenSource`: keeps one token and renews it before it expires, or when it was refused."""

    def __init__(self, auth: ApiClient, api_key: str, clock: Clock) -> None:
        self._auth = auth
        self._request = TokenRequest(api_key=SecretStr(api_key))
        self._clock = clock
        self._token = ""
        self._renew_s = self._expires_s = float("-inf")
        self._renewals = 0
        self._renewing = asyncio.Lock()

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
            if refused or not error.temporary or self._clock.monotonic_s() >= self._expires_s:
                raise
            _log.warning("the token is not renewed yet: %s", error)

    async def _fetch(self) -> None:
        token = await self._auth.post("/api/v1/token", AccessToken, self._request)
        now_s = self._clock.monotonic_s()
        self._token = token.access_token
        self._renewals += 1
        self._expires_s = now_s + token.expires_in_s
        self._renew_s = now_s + token.expires_in_s * _RENEW_AT
