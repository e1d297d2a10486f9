import asyncio

import pytest

from deborch_hub.store.logs import LogStore
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Attempt, TaskId

TASK, FIRST = TaskId(7), Attempt(1)


@pytest.fixture
def logs(tmp_path):
    return LogStore(tmp_path / "logs", max_log_bytes=1000)


async def never() -> bool:
    return False


async def test_chunks_in_order_make_the_log(logs):
    assert await logs.append(TASK, FIRST, 0, b"one ") == 4
    assert await logs.append(TASK, FIRST, 4, b"two") == 7
    assert await logs.read(TASK, FIRST, 0) == b"one two"
    assert await logs.read(TASK, FIRST, 4, 2) == b"tw"
    assert logs.path_of(TASK, FIRST) == logs.root / "7" / "1.log"


async def test_a_chunk_that_comes_again_changes_nothing(logs):
    await logs.append(TASK, FIRST, 0, b"one two")
    assert await logs.append(TASK, FIRST, 0, b"one ") == 7
    assert await logs.append(TASK, FIRST, 4, b"two") == 7
    assert await logs.read(TASK, FIRST, 0) == b"one two"


async def test_of_a_chunk_that_overlaps_the_new_part_is_written(logs):
    await logs.append(TASK, FIRST, 0, b"one t")
    assert await logs.append(TASK, FIRST, 3, b" two") == 7
    assert await logs.read(TASK, FIRST, 0) == b"one two"


async def test_a_gap_is_refused_with_the_size_to_go_on_from(logs):
    await logs.append(TASK, FIRST, 0, b"one")
    with pytest.raises(DeborchError) as refused:
        await logs.append(TASK, FIRST, 4, b"two")
    assert (refused.value.code, refused.value.fields["size_bytes"]) == (ErrorCode.CONFLICT, 3)
    assert await logs.read(TASK, FIRST, 0) == b"one"


async def test_a_log_past_its_limit_is_refused_and_what_was_there_stays(logs):
    await logs.append(TASK, FIRST, 0, b"x" * 1000)
    with pytest.raises(DeborchError) as refused:
        await logs.append(TASK, FIRST, 1000, b"y")
    assert (refused.value.code, refused.value.fields["size_bytes"]) == (ErrorCode.TOO_LARGE, 1000)
    assert logs.size_of(TASK, FIRST) == 1000


async def test_attempts_have_logs_of_their_own(logs):
    await logs.append(TASK, FIRST, 0, b"one")
    await logs.append(TASK, Attempt(2), 0, b"two")
    assert await logs.read(TASK, FIRST, 0) == b"one"
    assert await logs.read(TASK, Attempt(3), 0) == b""


async def test_two_replicas_that_get_the_same_chunks_keep_one_log(logs):
    other = LogStore(logs.root)
    text = bytes(range(200))
    for start in range(0, 200, 10):
        await asyncio.gather(
            logs.append(TASK, FIRST, start, text[start : start + 10]),
            other.append(TASK, FIRST, start, text[start : start + 10]),
        )
    assert await logs.read(TASK, FIRST, 0) == text


async def test_a_follower_gets_what_is_there_and_what_comes_until_the_attempt_has_ended(logs):
    over = False
    seen = bytearray()

    async def ended() -> bool:
        return over

    async def follow() -> None:
        async for chunk in logs.follow(TASK, FIRST, 2, ended):
            seen.extend(chunk)

    await logs.append(TASK, FIRST, 0, b"__one ")
    following = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    assert bytes(seen) == b"one "
    await logs.append(TASK, FIRST, 6, b"two ")
    await asyncio.sleep(0.05)
    assert bytes(seen) == b"one two "
    await LogStore(logs.root).append(TASK, FIRST, 10, b"three")
    over = True
    await asyncio.wait_for(following, 2)
    assert bytes(seen) == b"one two three"


async def test_a_follower_sees_what_another_replica_writes_within_a_moment(logs):
    following = logs.follow(TASK, FIRST, 0, never)
    assert await anext(following) == b""
    await LogStore(logs.root).append(TASK, FIRST, 0, b"text")
    async with asyncio.timeout(1):
        while not (chunk := await anext(following)):
            pass
    assert chunk == b"text"
    await following.aclose()


async def test_followers_leave_nothing_behind_and_end_when_the_process_stops(logs):
    following = asyncio.create_task(anext(logs.follow(TASK, FIRST, 0, never), None))
    await asyncio.sleep(0)
    logs.close()
    assert await asyncio.wait_for(following, 1) in {None, b""}
    assert [chunk async for chunk in logs.follow(TASK, FIRST, 0, never)] == []
    assert logs._followers == {}
