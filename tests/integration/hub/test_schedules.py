"""Schedules: each time one compose, whoever looks and whoever dies."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.hub.composers import commands_of, wanted
from tests.integration.hub.harness import ADMIN, Replica

from deborch_hub.handlers.schedules import run_due_schedules
from deborch_hub.store.reads.composes import list_schedules
from deborch_shared.contract.composes import ScheduleCreate
from deborch_shared.errors import DeborchError, ErrorCode


async def hourly(replica: Replica, name: str = "nightly") -> None:
    schedule = ScheduleCreate(name=name, compose=await wanted(replica), every_s=3600)
    await commands_of(replica).create_schedule(schedule, ADMIN)


async def make_due(replica: Replica) -> None:
    await replica.database.execute("UPDATE compose_schedule SET next_at = now() - interval '1 minute'")


async def composes(replica: Replica) -> int:
    return int(await replica.database.fetchval("SELECT count(*) FROM compose"))


async def test_a_schedule_that_is_due_asks_for_a_compose_by_itself_once(start_replica):
    hub = await start_replica()
    await hourly(hub)
    assert await composes(hub) == 0
    await make_due(hub)
    async with asyncio.timeout(10):
        while not await composes(hub):
            await asyncio.sleep(0.05)
    (schedule,) = await list_schedules(hub.database, limit=10, after=None)
    assert schedule.next_at > datetime.now(UTC) + timedelta(minutes=50)
    assert (schedule.owner, schedule.last_compose_id) == ("key:admin", 1)
    await asyncio.sleep(2.5)
    assert await composes(hub) == 1


async def test_of_replicas_that_look_at_the_same_time_one_asks(start_replica):
    one, other = await start_replica(), await start_replica()
    await hourly(one)
    at = datetime.now(UTC) + timedelta(hours=2)
    asked = await asyncio.gather(*(run_due_schedules(replica.context, at) for replica in (one, other) * 4))
    assert sum(asked) == 1
    assert await composes(one) == 1


async def test_a_time_that_comes_while_the_last_compose_goes_on_passes(start_replica):
    hub = await start_replica()
    await hourly(hub)
    now = datetime.now(UTC)
    assert await run_due_schedules(hub.context, now + timedelta(hours=2)) == 1
    assert await run_due_schedules(hub.context, now + timedelta(hours=4)) == 0
    await hub.database.execute("UPDATE compose SET state = 'failed', ended_at = now()")
    assert await run_due_schedules(hub.context, now + timedelta(hours=6)) == 1


async def test_a_schedule_that_is_off_or_gone_asks_for_nothing(start_replica):
    hub = await start_replica()
    await hourly(hub)
    await commands_of(hub).change_schedule("nightly", False, ADMIN)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert await run_due_schedules(hub.context, later) == 0
    with pytest.raises(DeborchError) as refused:
        await hourly(hub)
    assert refused.value.code is ErrorCode.NAME_TAKEN
    await commands_of(hub).delete_schedule("nightly", ADMIN)
    with pytest.raises(DeborchError) as refused:
        await commands_of(hub).change_schedule("nightly", True, ADMIN)
    assert refused.value.code is ErrorCode.NOT_FOUND
