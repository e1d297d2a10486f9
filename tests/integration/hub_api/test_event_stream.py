import asyncio

import asyncpg
import pytest
from tests.integration.hub_api.rows import INSERT_EVENT, body_of
from tests.integration.hub_api.sse import watching

from deborch_hub.store.event_feed import FeedEndedError, Wanted


def task_ids(messages):
    return [message.json()["data"]["task_id"] for message in messages]


async def test_events_come_as_they_happen_with_their_type_and_the_cloudevent(client, rows, feed):
    async with watching(client, "events") as stream:
        assert await stream.idle(0.1)
        await rows.event("task.created", task_id=1)
        await rows.event("build.completed", build_id=2)
        feed.wake()
        first, second = await stream.take(2)
    assert (first.event, first.data) == ("task.created", body_of("task.created", 1))
    assert second.event == "build.completed"
    assert first.id != second.id


async def test_what_happened_before_is_not_shown_to_a_new_watcher(client, rows):
    await rows.event(task_id=1)
    async with watching(client, "events") as stream:
        await rows.event(task_id=2)
        assert task_ids([await stream.next()]) == [2]


async def test_only_what_was_asked_for_comes(client, rows, feed):
    async with (
        watching(client, "events", types="task.completed,task.failed") as by_type,
        watching(client, "events", build_id=5) as by_build,
        watching(client, "events", task_id=1, types="task.failed") as by_both,
    ):
        await rows.event("task.created", task_id=1, build_id=5)
        await rows.event("task.completed", task_id=2, build_id=6)
        await rows.event("task.failed", task_id=1)
        await rows.event("build.completed", build_id=5)
        feed.wake()
        assert task_ids(await by_type.take(2)) == [2, 1]
        assert [message.event for message in await by_build.take(2)] == ["task.created", "build.completed"]
        assert [message.event for message in await by_both.take(1)] == ["task.failed"]
        assert await by_both.idle()


@pytest.mark.parametrize("params", [{"types": "task.exploded"}, {"build_id": "x"}, {"surprise": "1"}])
async def test_a_question_that_makes_no_sense_is_refused(client, params):
    assert (await client.get("/api/v1/events", params=params)).status == 422


@pytest.mark.parametrize("last_id", ["x", "1", "-", "1-x", f"{2**64}-1", "1-2-3"])
async def test_an_id_that_is_none_is_refused(client, last_id):
    response = await client.get("/api/v1/events", headers={"Last-Event-ID": last_id})
    assert (response.status, (await response.json())["code"]) == (422, "invalid-input")


async def test_a_watcher_that_was_cut_off_gets_what_it_missed_and_then_the_rest_once(client, rows, feed):
    async with watching(client, "events") as stream:
        for number in range(1, 4):
            await rows.event(task_id=number)
        feed.wake()
        assert task_ids(await stream.take(2)) == [1, 2]
        last_id = stream.last_id
        stream.response.connection.transport.abort()
    for number in range(4, 1200):
        await rows.event(task_id=number)
    async with watching(client, "events", last_id=last_id) as stream:
        writing = asyncio.create_task(_write(rows, feed, range(1200, 1400)))
        seen = task_ids(await stream.take(1397, 20))
        await writing
        assert await stream.idle()
    assert seen == list(range(3, 1400))


async def test_a_watcher_that_saw_nothing_yet_can_resume_too(client, rows, feed):
    async with watching(client, "events") as stream:
        assert await stream.idle(0.05)
        last_id = stream.last_id
    assert last_id
    await rows.event(task_id=1)
    async with watching(client, "events", last_id=last_id) as stream:
        assert task_ids([await stream.next()]) == [1]


async def test_resuming_minds_the_filter(client, rows):
    async with watching(client, "events") as stream:
        assert await stream.idle(0.05)
        last_id = stream.last_id
    for number in range(10):
        await rows.event("task.failed" if number % 2 else "task.created", task_id=number, build_id=number % 3)
    async with watching(client, "events", last_id=last_id, types="task.failed") as stream:
        assert task_ids(await stream.take(5)) == [1, 3, 5, 7, 9]
    async with watching(client, "events", last_id=last_id, build_id=1, types="task.failed") as stream:
        assert task_ids(await stream.take(2)) == [1, 7]
        assert await stream.idle(0.1)


async def test_an_event_of_a_slow_transaction_is_neither_lost_nor_behind_its_place(client, rows, feed, database):
    slow = await asyncpg.connect(database)
    async with watching(client, "events") as stream:
        begun = slow.transaction()
        await begun.start()
        await slow.execute(INSERT_EVENT, "task.created", 1, None, body_of("task.created", 1))
        await rows.event(task_id=2)
        feed.wake()
        assert await stream.idle(0.3)
        await begun.commit()
        assert task_ids(await stream.take(2)) == [1, 2]
        assert await stream.idle(0.2)
    await slow.close()


async def test_many_writers_and_watchers_lose_and_double_nothing(client, rows, feed):
    writers = [range(start, start + 150) for start in range(0, 1200, 150)]
    async with watching(client, "events") as steady:
        writing = asyncio.gather(*(_write(rows, feed, numbers) for numbers in writers))
        seen, last_id = [], ""
        while len(seen) < 1000:
            async with watching(client, "events", last_id=last_id or steady.last_id or None) as hopping:
                for _ in range(100):
                    seen.append(await hopping.next())
                    last_id = hopping.last_id
        await writing
        everything = await steady.take(1200)
    assert sorted(task_ids(everything)) == list(range(1200))
    begin = [message.id for message in everything].index(seen[0].id)
    assert [message.id for message in seen] == [message.id for message in everything[begin : begin + len(seen)]]


async def test_what_another_replica_commits_is_seen_at_once_by_its_notification(client, rows, database):
    async with watching(client, "events") as stream:
        assert await stream.idle(0.3)
        began = asyncio.get_running_loop().time()
        await rows.event(task_id=1)
        await rows.database.execute("SELECT pg_notify('deborch_events', '')")
        await stream.next()
        assert asyncio.get_running_loop().time() - began < 0.5


async def test_without_any_notification_the_poll_finds_it(client, rows):
    async with watching(client, "events") as stream:
        await rows.event(task_id=1)
        assert task_ids([await stream.next(3)]) == [1]


async def test_the_listening_connection_is_made_again_when_it_breaks(client, rows, database):
    async with watching(client, "events") as stream:
        assert await stream.idle(0.3)
        listeners = "SELECT pid FROM pg_stat_activity WHERE application_name = 'deborch-hub-events'"
        (listener,) = await rows.database.fetch(listeners)
        await rows.database.execute("SELECT pg_terminate_backend($1)", listener["pid"])
        await rows.event(task_id=1)
        assert task_ids([await stream.next(3)]) == [1]
        async with asyncio.timeout(5):
            while not (now := await rows.database.fetch(listeners)) or now[0]["pid"] == listener["pid"]:
                await asyncio.sleep(0.05)


async def test_a_watcher_that_does_not_keep_up_is_cut_off_and_can_resume(rows, feed):
    feed.max_waiting_events = 10
    async with feed.subscribe(Wanted()) as slow, feed.subscribe(Wanted()) as quick:
        for number in range(30):
            await rows.event(task_id=number)
            feed.wake()
            async with asyncio.timeout(5):
                while not await quick.take(0.1):
                    pass
        with pytest.raises(FeedEndedError, match="too slow"):
            while True:
                await slow.take(0.1)
        resumed_at = slow.position
    async with feed.subscribe(Wanted(), resumed_at) as again:
        assert [event.task_id for event in await again.take(1)] == list(range(30))


async def test_nothing_is_asked_of_the_database_while_nobody_watches(client, rows):
    async with watching(client, "events") as stream:
        await rows.event(task_id=1)
        await stream.next()
    async with asyncio.timeout(5):
        while await _connections_that_listen(rows):
            # the server notices that a client is gone when it next writes to it
            await rows.event(task_id=2)
            await asyncio.sleep(0.1)


async def test_stopping_the_hub_ends_the_streams_at_once(hub, rows):
    began = asyncio.get_running_loop().time()
    async with hub.client() as client, watching(client, "events") as stream:
        assert await stream.idle(0.05)
        hub.feed.close()
        with pytest.raises(EOFError):
            await stream.next()
    assert "ended: the hub stops; resume with Last-Event-ID" in stream.comments
    assert asyncio.get_running_loop().time() - began < 2


async def _write(rows, feed, numbers):
    for number in numbers:
        await rows.event(task_id=number)
        feed.wake()


async def _connections_that_listen(rows):
    return await rows.database.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deborch-hub-events'"
    )


async def test_without_follow_all_that_is_recorded_comes_and_then_the_end(client, rows):
    for number in range(1, 1_300):
        await rows.event(task_id=number)
    async with asyncio.timeout(20):
        response = await client.get("/api/v1/events", params={"follow": "false"})
        text = await response.text()
    ids = [line for line in text.splitlines() if line.startswith("data: ")]
    assert len(ids) == 1_299
    last = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id: ")][-3]
    rest = await (
        await client.get("/api/v1/events", params={"follow": "false"}, headers={"Last-Event-ID": last})
    ).text()
    assert rest.count("data: ") == 2
