"""The hub's API on a real database with the hub's schema, and with stores of a directory of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp.test_utils import TestClient
from tests.integration.hub_api.rows import Rows
from tests.unit.hub_api.fakes import Hub

from deborch_hub.store.event_feed import EventFeed
from deborch_hub.store.queries import MIGRATIONS
from deborch_shared.db import Database, Migrator


@pytest.fixture
async def hub_database(database: str) -> AsyncIterator[Database]:
    async with Database(database, application="test") as opened:
        await Migrator(MIGRATIONS).run(opened)
        yield opened


@pytest.fixture
def rows(hub_database: Database) -> Rows:
    return Rows(hub_database)


@pytest.fixture
async def feed(hub_database: Database, database: str) -> AsyncIterator[EventFeed]:
    """A feed that runs."""
    feed = EventFeed(hub_database, database)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
def hub(tmp_path, hub_database: Database, feed: EventFeed) -> Hub:
    hub = Hub(tmp_path, hub_database)
    hub.feed = hub.deps.feed = feed
    return hub


@pytest.fixture
async def client(hub: Hub) -> AsyncIterator[TestClient]:
    async with hub.client() as client:
        yield client
