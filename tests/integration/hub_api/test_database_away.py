import asyncio
from contextlib import suppress

import pytest
from aiohttp import ClientError
from tests.integration.hub_api.rows import Rows
from tests.integration.hub_api.sse import watching
from tests.unit.hub_api.fakes import BUILDER, Hub

from deborch_hub.store.event_feed import EventFeed
from deborch_hub.store.queries import MIGRATIONS
from deborch_shared.db import Database, Migrator


@pytest.fixture
async def hub(own_postgres, tmp_path):
    """A hub on a PostgreSQL that the test may kill."""
    async with Database(own_postgres.dsn("hub"), application="test") as database:
        await Migrator(MIGRATIONS).run(database)
        hub = Hub(tmp_path / "data", database)
        hub.feed = hub.deps.feed = EventFeed(database, own_postgres.dsn("hub"))
        running = asyncio.create_task(hub.feed.run())
        yield hub
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_watcher_stays_while_the_database_is_away_and_misses_nothing(hub, own_postgres):
    rows = Rows(hub.database)
    async with hub.client() as client, watching(client, "events") as stream:
        await rows.event(task_id=1)
        assert (await stream.next()).json()["data"]["task_id"] == 1
        own_postgres.kill()
        refused = await client.get("/api/v1/tasks")
        assert (refused.status, (await refused.json())["code"]) == (503, "database-unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await client.get("/api/v1/events", headers={"Last-Event-ID": "0-0"})).status == 503
        await own_postgres.start()
        await rows.event(task_id=2)
        assert (await stream.next(15)).json()["data"]["task_id"] == 2


async def test_logs_go_on_while_the_database_is_away(hub, own_postgres):
    rows = Rows(hub.database)
    task = await rows.task("running", host_id=await rows.host("builder1"))
    url = f"/api/v1/tasks/{task}/attempts/1/log"
    async with hub.client() as client:
        assert (await client.put(url, params={"offset": 0}, data=b"one", headers=BUILDER)).status == 200
        own_postgres.kill()
        assert (await client.put(url, params={"offset": 3}, data=b"two", headers=BUILDER)).status == 200
        other = {"Authorization": "Bearer builder2"}
        assert (await client.put(url, params={"offset": 6}, data=b"x", headers=other)).status == 503
        await own_postgres.start()


async def test_a_log_stream_that_loses_the_database_breaks_off_and_never_ends_falsely(hub, own_postgres):
    rows = Rows(hub.database)
    task = await rows.task("running", host_id=await rows.host("builder1"))
    async with hub.client() as client, watching(client, f"tasks/{task}/log/stream") as stream:
        assert await stream.idle(0.1)
        own_postgres.kill()
        with pytest.raises(ClientError):
            await stream.next(20)
        await own_postgres.start()
