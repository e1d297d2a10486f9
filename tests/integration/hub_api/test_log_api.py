import asyncio

import pytest
from tests.integration.hub_api.sse import watching
from tests.unit.hub_api.fakes import BUILDER

OTHER_BUILDER = {"Authorization": "Bearer builder2"}


@pytest.fixture
async def host(rows):
    await rows.host("builder2")
    return await rows.host("builder1")


@pytest.fixture
async def task(rows, host):
    return await rows.task("running", host_id=host)


async def append(client, task, data, offset, *, attempt=1, headers=BUILDER):
    url = f"/api/v1/tasks/{task}/attempts/{attempt}/log"
    return await client.put(url, params={"offset": offset}, data=data, headers=headers)


async def end(rows, task, state="completed"):
    await rows.database.execute(
        "UPDATE task SET state = $2, ended_at = now(), lease_until = NULL WHERE id = $1", task, state
    )
    await rows.database.execute("UPDATE attempt SET ended_at = now(), outcome = $2 WHERE task_id = $1", task, state)


async def test_the_host_of_the_attempt_writes_its_log(client, task):
    response = await append(client, task, b"one ", 0)
    assert (response.status, await response.json()) == (200, {"size_bytes": 4})
    assert (await (await append(client, task, b"e two", 2)).json()) == {"size_bytes": 7}
    log = await client.get(f"/api/v1/tasks/{task}/log")
    assert (log.status, await log.text(), log.headers["X-Log-Complete"]) == (200, "one two", "false")
    assert log.content_type == "text/plain"


async def test_a_gap_is_a_conflict_with_the_size_to_go_on_from(client, task):
    await append(client, task, b"one", 0)
    response = await append(client, task, b"two", 10)
    assert (response.status, (await response.json())["size_bytes"]) == (409, 3)


@pytest.mark.parametrize("query", ["", "?offset=-1", "?offset=x"])
async def test_a_chunk_without_a_place_is_refused(client, task, query):
    url = f"/api/v1/tasks/{task}/attempts/1/log{query}"
    assert (await client.put(url, data=b"x", headers=BUILDER)).status == 422


async def test_another_host_may_not_write_it(client, task):
    response = await append(client, task, b"x", 0, headers=OTHER_BUILDER)
    assert (response.status, (await response.json())["code"]) == (403, "forbidden")


async def test_an_attempt_that_is_over_is_written_no_more(client, rows, task, host):
    await rows.database.execute("UPDATE attempt SET ended_at = now(), outcome = 'freed' WHERE task_id = $1", task)
    await rows.database.execute("UPDATE task SET attempt = 2 WHERE id = $1", task)
    await rows.attempt(task, 2, host)
    assert (await append(client, task, b"x", 0)).status == 409
    assert (await append(client, task, b"x", 0, attempt=2)).status == 200
    assert (await append(client, task, b"x", 0, attempt=3)).status == 404


async def test_a_canceled_task_tells_its_builder_to_stop(client, rows, host):
    task = await rows.task("canceled", host_id=host)
    problem = await (await append(client, task, b"x", 0)).json()
    assert (problem["status"], problem["task_state"]) == (409, "canceled")


async def test_a_chunk_may_have_four_mebibytes(client, task):
    assert (await append(client, task, b"x" * ((4 << 20) + 1), 0)).status == 413


async def test_a_range_of_a_log_is_served_and_each_attempt_has_its_own(client, rows, task, host, hub):
    await append(client, task, b"one two three", 0)
    part = await client.get(f"/api/v1/tasks/{task}/log", headers={"Range": "bytes=4-"})
    assert (part.status, await part.text(), part.headers["X-Log-Complete"]) == (206, "two three", "false")
    assert (await client.get(f"/api/v1/tasks/{task}/log", headers={"Range": "bytes=13-"})).status == 416
    await end(rows, task)
    whole = await client.get(f"/api/v1/tasks/{task}/log", params={"attempt": 1})
    assert whole.headers["X-Log-Complete"] == "true"
    missing = await client.get(f"/api/v1/tasks/{task}/log", params={"attempt": 2})
    assert missing.status == 404


async def test_a_log_in_which_nothing_is_yet_is_empty(client, task):
    response = await client.get(f"/api/v1/tasks/{task}/log")
    assert (response.status, await response.text(), response.headers["X-Log-Complete"]) == (200, "", "false")


async def test_a_task_without_an_attempt_has_no_log(client, rows):
    response = await client.get(f"/api/v1/tasks/{await rows.task()}/log")
    assert response.status == 404
    assert "why" in (await response.json())["hint"]


async def test_a_stream_follows_the_log_to_its_end(client, rows, task):
    await append(client, task, b"one ", 0)
    async with watching(client, f"tasks/{task}/log/stream") as stream:
        assert (await stream.next()).json() == {"offset": 0, "text": "one "}
        began = asyncio.get_running_loop().time()
        await append(client, task, b"two", 4)
        assert (await stream.next()).json() == {"offset": 4, "text": "two"}
        assert asyncio.get_running_loop().time() - began < 0.5
        await append(client, task, b" three", 7)
        await end(rows, task)
        assert (await stream.next()).json() == {"offset": 7, "text": " three"}
        last = await stream.next()
        assert (last.event, last.json()) == ("end", {"state": "completed", "attempt": 1})
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_stream_begins_where_it_is_told_and_resumes_behind_the_last_chunk(client, rows, task):
    await append(client, task, b"one two three", 0)
    async with watching(client, f"tasks/{task}/log/stream", offset=4) as stream:
        assert (await stream.next()).json() == {"offset": 4, "text": "two three"}
        last_id = stream.last_id
    await append(client, task, b" four", 13)
    await end(rows, task)
    async with watching(client, f"tasks/{task}/log/stream", last_id=last_id, offset=4) as stream:
        assert next(message.data for message in await stream.all()) == '{"offset":13,"text":" four"}'


async def test_a_character_cut_in_two_by_chunks_comes_whole_and_broken_ones_are_marked(client, rows, task):
    text = "ä€😀".encode()
    async with watching(client, f"tasks/{task}/log/stream") as stream:
        for place in range(len(text)):
            await append(client, task, text[place : place + 1], place)
            await asyncio.sleep(0.02)
        await append(client, task, b"\xff\xe2\x82", len(text))
        await end(rows, task, "failed")
        chunks = [message.json() for message in await stream.all() if message.event == "chunk"]
    assert "".join(chunk["text"] for chunk in chunks) == "ä€😀\ufffd\ufffd"
    assert chunks[0]["offset"] == 0
    assert chunks[-1]["offset"] in {len(text), len(text) + 1}


async def test_a_stream_waits_for_the_first_attempt(client, rows, host):
    task = await rows.task("free")
    async with watching(client, f"tasks/{task}/log/stream") as stream:
        assert await stream.idle(0.2)
        await rows.database.execute(
            "UPDATE task SET state = 'running', attempt = 1, host_id = $2, lease_until = now() WHERE id = $1",
            task,
            host,
        )
        await rows.attempt(task, 1, host)
        await append(client, task, b"begun", 0)
        assert (await stream.next()).json() == {"offset": 0, "text": "begun"}


async def test_the_stream_of_a_task_that_never_began_ends_when_it_is_canceled(client, rows):
    task = await rows.task("free")
    async with watching(client, f"tasks/{task}/log/stream") as stream:
        await rows.database.execute("UPDATE task SET state = 'canceled', ended_at = now() WHERE id = $1", task)
        last = await stream.next()
    assert (last.event, last.json()) == ("end", {"state": "canceled", "attempt": 0})


async def test_the_stream_of_an_attempt_that_was_given_back_ends_with_the_state_of_the_task(client, rows, host):
    task = await rows.task("free", host_id=host, attempt=1)
    async with watching(client, f"tasks/{task}/log/stream", attempt=1) as stream:
        assert (await stream.next()).json() == {"state": "free", "attempt": 1}


async def test_stopping_the_hub_ends_a_stream_without_an_end(hub, client, task):
    async with watching(client, f"tasks/{task}/log/stream") as stream:
        assert await stream.idle(0.1)
        hub.logs.close()
        with pytest.raises(EOFError):
            await stream.next()
