"""A real PostgreSQL, started, killed and started again."""

import os
import shutil
import signal
import stat
from pathlib import Path

import asyncpg
import pytest

from deborch_cli.local import ports
from deborch_cli.local.postgres import EmbeddedPostgres
from deborch_shared.errors import DeborchError, ErrorCode


async def test_each_database_belongs_to_a_role_with_its_own_password(own_postgres: EmbeddedPostgres):
    for name in ("hub", "auth"):
        connection = await asyncpg.connect(own_postgres.dsn(name))
        assert await connection.fetchval("SELECT current_user || ' ' || current_database()") == f"{name} {name}"
        await connection.execute("CREATE TABLE of_mine (id int)")
        await connection.close()


async def test_a_role_cannot_connect_to_the_database_of_another(own_postgres: EmbeddedPostgres):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(own_postgres.dsn("auth", role="hub"))


async def test_a_wrong_password_is_refused(own_postgres: EmbeddedPostgres):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(own_postgres.dsn("hub"), password="wrong")


async def test_a_committed_row_survives_kill_9_and_the_server_comes_back_where_it_was(own_postgres: EmbeddedPostgres):
    connection = await asyncpg.connect(own_postgres.dsn("hub"))
    await connection.execute("CREATE TABLE kept (id int)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    before = own_postgres.dsn("hub")
    own_postgres.kill()
    assert not own_postgres.server.running
    await own_postgres.start()
    assert own_postgres.dsn("hub") == before
    again = await asyncpg.connect(before)
    assert await again.fetchval("SELECT id FROM kept") == 7
    await again.close()


async def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(own_postgres: EmbeddedPostgres):
    own_postgres.kill()
    pid_file = own_postgres.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    await own_postgres.start()
    assert own_postgres.server.running


async def test_a_second_server_on_the_same_directory_is_refused(
    own_postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("deborch_cli.local.postgres._LEFTOVER_WAIT_S", 0.1)
    with pytest.raises(DeborchError) as caught:
        await EmbeddedPostgres(own_postgres.directory).start()
    assert caught.value.code is ErrorCode.CONFLICT
    assert own_postgres.server.running


async def test_another_port_is_taken_when_the_one_of_last_time_is_in_use(own_postgres: EmbeddedPostgres):
    await own_postgres.stop()
    last = own_postgres.port
    async with await _listener(last):
        await own_postgres.start()
        assert own_postgres.port != last


async def test_a_port_that_was_asked_for_and_is_taken_is_an_error_with_a_hint(postgres_template: Path, tmp_path: Path):
    shutil.copytree(postgres_template, tmp_path / "server")
    (port,) = ports.free_ports(1)
    async with await _listener(port):
        with pytest.raises(DeborchError) as caught:
            await EmbeddedPostgres(tmp_path / "server", port=port, durable=False).start()
    assert caught.value.code is ErrorCode.PORT_TAKEN
    assert caught.value.hint


async def test_a_server_that_cannot_start_says_why_from_its_log(postgres_template: Path, tmp_path: Path):
    shutil.copytree(postgres_template, tmp_path / "server")
    server = EmbeddedPostgres(tmp_path / "server", settings={"shared_buffers": "nonsense"}, durable=False)
    with pytest.raises(DeborchError, match='invalid value for parameter "shared_buffers"') as caught:
        await server.start()
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


async def test_nobody_else_can_read_data_or_passwords(own_postgres: EmbeddedPostgres):
    assert stat.S_IMODE(own_postgres.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((own_postgres.directory / "state.json").stat().st_mode) == 0o600


async def test_no_password_is_on_a_command_line_or_in_the_log(own_postgres: EmbeddedPostgres):
    password = own_postgres.dsn("hub").split(":")[2].split("@")[0]
    assert password not in Path(f"/proc/{own_postgres.server.pid}/cmdline").read_text()
    assert password not in own_postgres.log.read_text()


async def test_the_server_stops_when_whoever_started_it_is_killed(own_postgres: EmbeddedPostgres):
    own_postgres.server._process.send_signal(signal.SIGINT)
    assert await own_postgres.server.wait() == 0


async def _listener(port: int):
    import asyncio

    return await asyncio.start_server(lambda r, w: None, ports.LOOPBACK, port)
