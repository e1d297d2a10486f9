import asyncio
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import asyncpg
import pytest

from deborch_shared.db import Database, Migrator
from deborch_shared.errors import DeborchError, ErrorCode

FIRST = (
    "-- migrate:up\nCREATE TABLE first (a int);\nINSERT INTO first VALUES (1);\n-- migrate:down\nDROP TABLE first;\n"
)
SECOND = "-- migrate:up\nCREATE TABLE second (a int);\n-- migrate:down\nDROP TABLE second;\n"
Files = Callable[..., Migrator]


@pytest.fixture
def migrator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Makes a Migrator of the files given: `migrator(v1=..., v2=...)`."""

    def make(**texts: str) -> Migrator:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, text in texts.items():
            (tmp_path / f"2026010100000{name[1:]}_step.sql").write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(resources, "files", lambda _: tmp_path)
            return Migrator("any")

    return make


@pytest.fixture
async def pool(database):
    async with Database(database, application="test") as pool:
        yield pool


async def versions(pool: Database) -> list[str]:
    return [row["version"] for row in await pool.fetch("SELECT version FROM schema_migrations ORDER BY version")]


async def test_what_is_missing_is_applied_in_order_and_only_once(pool, migrator):
    assert await migrator(v1=FIRST).run(pool) == ["20260101000001"]
    assert await migrator(v1=FIRST, v2=SECOND).run(pool) == ["20260101000002"]
    assert await migrator(v1=FIRST, v2=SECOND).run(pool) == []
    assert await versions(pool) == ["20260101000001", "20260101000002"]
    assert await pool.fetchval("SELECT count(*) FROM first") == 1


async def test_replicas_that_start_at_once_take_turns_and_one_applies(database, migrator):
    slow = FIRST.replace("CREATE", "SELECT pg_sleep(0.5);\nCREATE")
    migrations = migrator(v1=slow, v2=SECOND)

    async def replica() -> list[str]:
        async with Database(database, application="test", min_size=1, max_size=1) as pool:
            return await migrations.run(pool)

    applied = await asyncio.gather(*(replica() for _ in range(4)))
    assert sorted(applied) == [[], [], [], ["20260101000001", "20260101000002"]]


async def test_a_migration_that_was_edited_after_it_ran_is_refused(pool, migrator):
    await migrator(v1=FIRST).run(pool)
    with pytest.raises(DeborchError, match="20260101000001_step") as caught:
        await migrator(v1=FIRST.replace("a int", "a bigint"), v2=SECOND).run(pool)
    assert caught.value.code is ErrorCode.CONFLICT
    assert await versions(pool) == ["20260101000001"]


async def test_one_that_fails_leaves_nothing_of_itself_and_the_lock_is_free(pool, migrator):
    broken = SECOND.replace("-- migrate:down", "SELECT no_such_column;\n-- migrate:down")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrator(v1=FIRST, v2=broken).run(pool)
    assert await versions(pool) == ["20260101000001"]
    assert await pool.fetchval("SELECT to_regclass('second')") is None
    assert await asyncio.wait_for(migrator(v1=FIRST, v2=SECOND).run(pool), 10) == ["20260101000002"]


async def test_a_database_that_dbmate_migrated_is_taken_over(pool, migrator):
    await pool.execute(
        "CREATE TABLE public.schema_migrations (version character varying(128) NOT NULL PRIMARY KEY);"
        "CREATE TABLE first (a int); INSERT INTO schema_migrations VALUES ('20260101000001')"
    )
    assert await migrator(v1=FIRST, v2=SECOND).run(pool) == ["20260101000002"]


async def test_the_table_is_the_one_that_dbmate_reads(pool, migrator):
    await migrator(v1=FIRST).run(pool)
    columns = await pool.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'schema_migrations'"
    )
    assert [tuple(row) for row in columns] == [("version", "character varying")]


async def test_a_migration_may_take_longer_than_a_request(pool, migrator, monkeypatch):
    monkeypatch.setattr("deborch_shared.db.pool._STATEMENT_TIMEOUT", "100ms")
    async with Database(pool._dsn, application="test") as impatient:
        await migrator(v1=FIRST.replace("CREATE", "SELECT pg_sleep(0.3);\nCREATE")).run(impatient)
        with pytest.raises(DeborchError):
            await impatient.execute("SELECT pg_sleep(0.3)")


async def test_the_migrations_that_ship_can_be_taken_back_and_applied_again(pool):
    migrations = Migrator("deborch_auth.store.migrations")
    await migrations.run(pool)
    for migration in reversed(migrations.migrations):
        await pool.execute(migration.down)
    await pool.execute("DROP TABLE schema_migration_checksums, schema_migrations")
    left = await pool.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    assert left == []
    assert await migrations.run(pool)
