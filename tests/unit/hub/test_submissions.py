"""How tasks that arrive one by one share commits."""

import asyncio
from unittest.mock import create_autospec

import pytest

from deborch_hub.domain.placement import Board, Leadership
from deborch_hub.handlers.submission import RUSH_S, NewTask, Rush, Submissions
from deborch_hub.handlers.unit_of_work import Transactions
from deborch_hub.store.id_blocks import IdBlocks
from deborch_shared.contract.builds import TaskRef
from deborch_shared.contract.states import TaskKind, TaskState

TASK = NewTask(TaskKind.NOOP, "amd64", "test", 1, 0, {})
COMMIT_S = 0.001


class Counted(Submissions):
    """Submissions whose commits take a while and are counted."""

    def __init__(self) -> None:
        super().__init__(
            create_autospec(Transactions), task_ids=create_autospec(IdBlocks), board=Board(),
            leadership=Leadership("test"), lease_s=1,
        )  # fmt: skip
        self.sizes = []

    async def write(self, tasks):
        self.sizes.append(len(tasks))
        await asyncio.sleep(COMMIT_S)
        return [TaskRef(id=number + 1, state=TaskState.FREE) for number in range(len(tasks))]


@pytest.fixture
async def submissions():
    made = Counted()
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_submitters_in_a_loop_share_commits_although_they_come_back_one_after_another(submissions):
    async def loop(number):
        for _ in range(20):
            await submissions.submit(TASK)
            await asyncio.sleep(0.0002 * number)

    await asyncio.gather(*(loop(number) for number in range(8)))
    assert sum(submissions.sizes) == 160
    assert len(submissions.sizes) < 40


async def test_what_one_submitter_sends_goes_one_by_one(submissions):
    for _ in range(30):
        await submissions.submit(TASK)
    assert submissions.sizes == [1] * 30


def test_nobody_waits_for_a_submitter_who_has_stopped_for_long():
    rush = Rush()
    for size in (8, 1, 1, 1, 1):
        rush.note(size, now_s=1.0)
    assert rush.expected(1.0) == 1


def test_after_a_rest_no_company_is_expected():
    rush = Rush()
    rush.note(8, now_s=1.0)
    assert rush.expected(1.0 + RUSH_S / 2) == 8
    assert rush.expected(1.0 + 2 * RUSH_S) == 0
    rush.note(2, now_s=5.0)
    assert rush.expected(5.001) == 2
