import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deborch_auth.__main__ import prepare
from deborch_auth.handlers.bootstrap import ensure_first_admin
from deborch_auth.handlers.signing import key_set
from deborch_auth.handlers.tokens import issue_token
from deborch_auth.store.store import Store
from deborch_shared.contract.auth import AccessToken, TokenRequest, WhoAmI
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient
from deborch_shared.security import TokenVerifier

COMMAND = (sys.executable, "-m", "deborch_auth")


@asynccontextmanager
async def running(database: str, directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The service as a process of its own, and its URL."""
    port_file = directory / "port"
    port_file.unlink(missing_ok=True)
    environment = os.environ | {
        "DEBORCH_AUTH_DATABASE_URL": database,
        "DEBORCH_AUTH_DATA_DIR": str(directory / "data"),
        "DEBORCH_AUTH_PORT_FILE": str(port_file),
        "DEBORCH_AUTH_BOOTSTRAP_KEY_FILE": str(directory / "admin.key"),
        "DEBORCH_LOG_LEVEL": "DEBUG",
    }
    with (directory / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deborch_auth", env=environment, stderr=log
        )
    try:
        async with asyncio.timeout(30):
            while not port_file.exists():
                assert process.returncode is None, (directory / "log").read_text()
                await asyncio.sleep(0.02)
        yield process, f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_service_drains_on_sigterm_and_its_tokens_outlive_a_restart(database, tmp_path):
    async with running(database, tmp_path) as (process, url), ApiClient(url) as client:
        wanted = TokenRequest(api_key=(tmp_path / "admin.key").read_text())
        token = (await client.post("/api/v1/token", AccessToken, wanted)).access_token
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0

    async def same_token(_: bool) -> str:
        return token

    async with running(database, tmp_path) as (_, url), ApiClient(url, token=same_token) as client:
        assert (await client.get("/api/v1/whoami", WhoAmI)).roles == ("admin",)
    log = (tmp_path / "log").read_text()
    assert "draining" in log
    for secret in (wanted.api_key.get_secret_value().strip().rsplit("_", 1)[1], token):
        assert secret not in log


async def test_the_first_admin_key_is_written_for_its_owner_only(service, settings):
    assert stat.S_IMODE(settings.bootstrap_key_file.stat().st_mode) == 0o600
    assert await service.database.fetchval("SELECT created_by FROM api_key") == "bootstrap"


async def test_replicas_that_start_at_once_share_one_admin_key_and_one_signing_key(settings, opened):
    started = await asyncio.gather(*(prepare(settings, Store(opened)) for _ in range(4)))
    assert await opened.fetchval("SELECT count(*) FROM api_key") == 1
    assert await opened.fetchval("SELECT count(*) FROM signing_key") == 1
    key = settings.bootstrap_key_file.read_text()
    token = await issue_token(started[0], key, address="192.0.2.1")
    for replica in started:
        verified = await TokenVerifier(lambda auth=replica: key_set(auth)).verify(token.access_token)
        assert "admin" in verified.roles


async def test_no_second_admin_key_is_made_once_the_file_is_gone(settings, opened):
    await prepare(settings, Store(opened))
    settings.bootstrap_key_file.unlink()
    await prepare(settings, Store(opened))
    assert not settings.bootstrap_key_file.exists()
    assert await opened.fetchval("SELECT count(*) FROM api_key") == 1


async def test_a_start_that_died_between_file_and_row_is_taken_up_by_the_next(settings, opened):
    await prepare(settings, Store(opened))
    written = settings.bootstrap_key_file.read_text()
    await opened.execute("DELETE FROM api_key")
    auth = await prepare(settings, Store(opened))
    assert settings.bootstrap_key_file.read_text() == written
    assert await issue_token(auth, written, address="192.0.2.1")


async def test_with_every_admin_key_void_a_new_one_is_made_once_the_old_file_is_removed(settings, opened):
    await prepare(settings, Store(opened))
    await opened.execute("UPDATE api_key SET revoked_at = now(), revoked_by = 'operator'")
    with pytest.raises(DeborchError, match="remove") as refused:
        await prepare(settings, Store(opened))
    assert refused.value.code is ErrorCode.CONFLICT
    settings.bootstrap_key_file.unlink()
    auth = await prepare(settings, Store(opened))
    assert await issue_token(auth, settings.bootstrap_key_file.read_text(), address="192.0.2.1")


async def test_a_bootstrap_file_that_holds_something_else_is_left_as_it_is(service, tmp_path):
    await service.database.execute("DELETE FROM api_key")
    foreign = tmp_path / "shopping-list"
    foreign.write_text("bread")
    foreign.chmod(0o600)
    with pytest.raises(DeborchError, match="holds no API key"):
        await ensure_first_admin(service.auth, foreign)
    assert foreign.read_text() == "bread"
    assert await service.database.fetchval("SELECT count(*) FROM api_key") == 0


async def test_another_pepper_on_the_same_database_is_refused_at_start(settings, opened):
    await prepare(settings, Store(opened))
    with pytest.raises(DeborchError, match="pepper is not the one"):
        await prepare(settings.model_copy(update={"data_dir": settings.data_dir / "other"}), Store(opened))


async def test_without_the_database_the_api_says_503_and_when_to_come_back(settings, own_postgres, tmp_path):
    async with running(own_postgres.dsn("auth"), tmp_path) as (_, url), ApiClient(url) as client:
        wanted = TokenRequest(api_key=(tmp_path / "admin.key").read_text())
        await client.post("/api/v1/token", AccessToken, wanted)
        own_postgres.kill()
        with pytest.raises(DeborchError) as refused:
            await client.post("/api/v1/token", AccessToken, wanted)
        assert refused.value.code is ErrorCode.DATABASE_UNAVAILABLE
        await own_postgres.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.post("/api/v1/token", AccessToken, wanted)
                    break
                except DeborchError as error:
                    assert error.temporary
                    await asyncio.sleep(0.1)
