import asyncio

import pytest

from deborch_shared.cancellation import apart, to_the_end


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("broken")


async def failing_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        group.create_task(asyncio.sleep(60))


async def test_a_group_that_fails_inside_leaves_no_mark_of_cancellation_outside():
    with pytest.raises(ExceptionGroup):
        await apart(failing_group())
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_loop_around_it_goes_on_after_a_failure_and_stops_when_told_to():
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            try:
                await apart(failing_group())
            except* ValueError:
                rounds += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(loop())
    while rounds < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_the_caller_cancels_the_work_and_waits_until_it_has_cleaned_up():
    events: list[str] = []

    async def work() -> None:
        try:
            events.append("began")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            events.append("cleaned up")

    task = asyncio.create_task(apart(work()))
    while not events:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["began", "cleaned up"]


async def test_work_that_is_cancelled_by_what_it_waits_for_is_an_error_and_not_an_end():
    async def work() -> None:
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broken.cancel()
        await broken

    with pytest.raises(RuntimeError):
        await apart(work())


async def test_what_runs_to_the_end_is_not_cancelled_and_its_caller_only_afterwards():
    events: list[str] = []

    async def work() -> None:
        events.append("began")
        await asyncio.sleep(0.02)
        events.append("ended")

    async def caller() -> None:
        await to_the_end(work())
        events.append("went on")

    task = asyncio.create_task(caller())
    while not events:
        await asyncio.sleep(0)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    assert events == ["began", "ended"]


async def test_what_runs_to_the_end_returns_or_raises_as_it_would_alone():
    assert await to_the_end(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="broken"):
        await to_the_end(fail())
