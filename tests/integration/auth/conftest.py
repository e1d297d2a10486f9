"""The auth service as it runs, on a fresh database, and a client of its API for every role."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deborch_auth.__main__ import prepare
from deborch_auth.api.routes import routes
from deborch_auth.handlers.context import Auth
from deborch_auth.handlers.signing import key_set
from deborch_auth.settings import AuthSettings
from deborch_auth.store.store import Store
from deborch_shared.contract.auth import AccessToken, KeyCreate, NewKey, TokenRequest
from deborch_shared.db import Database
from deborch_shared.http import ApiClient, build_application, serve
from deborch_shared.security import TokenVerifier


@dataclass
class Service:
    """One running service: its insides, its URL, and the first admin's key."""

    auth: Auth
    database: Database
    url: str
    admin_key: str

    def client(self, api_key: str | None = None) -> ApiClient:
        """A client that exchanges `api_key` for tokens as the real ones do."""
        if api_key is None:
            return ApiClient(self.url)

        async def token(_: bool) -> str:
            async with ApiClient(self.url) as anonymous:
                answer = await anonymous.post("/api/v1/token", AccessToken, TokenRequest(api_key=api_key))
            return answer.access_token

        return ApiClient(self.url, token=token)

    async def new_key(self, **wanted: Any) -> NewKey:
        async with self.client(self.admin_key) as admin:
            return await admin.post("/api/v1/keys", NewKey, KeyCreate(name="of a test", **wanted))


@pytest.fixture
def settings(database: str, tmp_path: Path) -> AuthSettings:
    return AuthSettings(
        database_url=database, data_dir=tmp_path / "auth", bootstrap_key_file=tmp_path / "auth" / "admin.key"
    )


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    async with Database(database, application="test") as pool:
        yield pool


@pytest.fixture
async def service(settings: AuthSettings, opened: Database) -> AsyncIterator[Service]:
    auth = await prepare(settings, Store(opened))
    app = build_application(routes(auth), verifier=TokenVerifier(lambda: key_set(auth)), ready_checks={})
    async with serve(app, "127.0.0.1", 0) as port:
        yield Service(auth, opened, f"http://127.0.0.1:{port}", settings.bootstrap_key_file.read_text().strip())
