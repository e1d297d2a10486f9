import asyncio

import pytest

from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode


async def test_json_goes_in_and_comes_out_as_python_values(database):
    async with Database(database, application="test") as pool:
        value = {"a": [1, None, "é"], "b": {"c": 1.5}}
        assert await pool.fetchval("SELECT $1::jsonb", value) == value


async def test_a_transaction_is_kept_as_a_whole_or_not_at_all(database):
    async with Database(database, application="test") as pool:
        await pool.execute("CREATE TABLE t (a int PRIMARY KEY)")
        with pytest.raises(ZeroDivisionError):
            async with pool.transaction() as connection:
                await connection.execute("INSERT INTO t VALUES (1)")
                raise ZeroDivisionError
        async with pool.transaction() as connection:
            await connection.execute("INSERT INTO t VALUES (2)")
        assert [row["a"] for row in await pool.fetch("SELECT a FROM t")] == [2]


async def test_a_cancelled_transaction_leaves_nothing_and_gives_its_connection_back(database):
    async with Database(database, application="test", min_size=1, max_size=1) as pool:
        await pool.execute("CREATE TABLE t (a int)")
        held = asyncio.Event()

        async def work() -> None:
            async with pool.transaction() as connection:
                await connection.execute("INSERT INTO t VALUES (1)")
                held.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.wait_for(pool.fetchval("SELECT count(*) FROM t"), 5) == 0


async def test_the_server_shows_which_service_holds_a_connection(database):
    async with Database(database, application="deborch-trial") as pool:
        assert await pool.fetchval("SELECT current_setting('application_name')") == "deborch-trial"


async def test_a_statement_that_takes_too_long_is_temporary_trouble(database):
    async with Database(database, application="test") as pool:
        with pytest.raises(DeborchError) as caught:
            async with pool.connection() as connection:
                await connection.execute("SET statement_timeout = '50ms'")
                await connection.execute("SELECT pg_sleep(5)")
        assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE


async def test_a_text_with_nul_is_invalid_input(database):
    async with Database(database, application="test") as pool:
        with pytest.raises(DeborchError) as caught:
            await pool.fetchval("SELECT $1::text", "a\0b")
        assert caught.value.code is ErrorCode.INVALID_INPUT


async def test_a_server_whose_disk_is_full_says_so_and_the_transaction_left_nothing(database):
    async with Database(database, application="test") as pool:
        await pool.execute("CREATE TABLE kept (a int)")
        with pytest.raises(DeborchError) as caught:
            async with pool.transaction() as connection:
                await connection.execute("INSERT INTO kept VALUES (1)")
                await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$")
        assert caught.value.code is ErrorCode.DISK_FULL
        assert caught.value.temporary
        assert "free space on the database server" in caught.value.hint
        assert await pool.fetchval("SELECT count(*) FROM kept") == 0


async def test_our_own_mistakes_in_sql_keep_their_cause(database):
    async with Database(database, application="test") as pool:
        with pytest.raises(Exception, match="no_such_table") as caught:
            await pool.fetch("SELECT * FROM no_such_table")
        assert not isinstance(caught.value, DeborchError)


async def test_a_server_that_is_not_there_is_unavailable_and_the_password_is_not_shown():
    with pytest.raises(DeborchError) as caught:
        async with Database("postgresql://u:hunter2@127.0.0.1:9/d", application="test"):
            pass
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    assert "hunter2" not in str(caught.value)


async def test_the_pool_recovers_by_itself_when_the_server_was_killed_and_is_back(own_postgres):
    async with Database(own_postgres.dsn("hub"), application="test") as pool:
        assert await pool.fetchval("SELECT 1") == 1
        own_postgres.kill()
        for _ in range(3):
            with pytest.raises(DeborchError) as caught:
                await pool.fetchval("SELECT 1")
            assert caught.value.temporary
        await own_postgres.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await pool.fetchval("SELECT 1") == 1
                    break
                except DeborchError:
                    await asyncio.sleep(0.1)
