"""Access tokens between commands: one is bought with the API key and kept until shortly before it expires."""

import asyncio
import hashlib
import json
import time

from deborch_cli.credentials import Credentials, token_file
from deborch_cli.private_files import write_private
from deborch_shared.contract.auth import AccessToken
from deborch_shared.http import ApiClient

_RENEW_BEFORE_EXPIRY_S = 30


class CachedToken:
    """A token source for `ApiClient`: called with True, it forgets the token that was refused and buys another."""

    def __init__(self, credentials: Credentials, *, timeout_s: float = 30.0) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._owner = hashlib.sha256(f"{credentials.auth_url}\0{credentials.api_key}".encode()).hexdigest()
        self._token = ""
        self._expires_at = 0.0
        self._buying = asyncio.Lock()

    async def __call__(self, refused: bool) -> str:
        async with self._buying:
            if not self._token and not refused:
                self._recall()
            if refused or time.time() > self._expires_at - _RENEW_BEFORE_EXPIRY_S:
                await self._buy()
            return self._token

    async def _buy(self) -> None:
        # TokenRequest hides its key when it is dumped, so the body is written out here.
        body = json.dumps({"api_key": self._credentials.api_key}).encode()
        async with ApiClient(self._credentials.auth_url, timeout_s=self._timeout_s) as auth:
            answer = await auth.call("POST", "/api/v1/token", body=body, headers={"Content-Type": "application/json"})
        bought = AccessToken.model_validate_json(answer)
        self._token, self._expires_at = bought.access_token, time.time() + bought.expires_in_s
        kept = {"owner": self._owner, "access_token": self._token, "expires_at": self._expires_at}
        write_private(token_file(), json.dumps(kept) + "\n")

    def _recall(self) -> None:
        """Take the kept token if it is ours; whatever is wrong with the file, a new token is bought instead."""
        try:
            kept = json.loads(token_file().read_text(encoding="utf-8"))
            if kept["owner"] == self._owner:
                self._token, self._expires_at = str(kept["access_token"]), float(kept["expires_at"])
        except (OSError, ValueError, KeyError, TypeError):
            self._token, self._expires_at = "", 0.0
