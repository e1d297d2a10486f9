"""The life of a task on a real database and broker: submitted, placed, run, refused, lost, canceled."""

import asyncio
from typing import Any

import orjson
import pytest
from tests.integration.hub.harness import ADMIN, Replica, StartBuilder, StartReplica

from deborch_hub.handlers.port import Idempotency
from deborch_hub.handlers.why import explain
from deborch_hub.store.reads.tasks import get_task, list_tasks
from deborch_shared.contract.builds import TaskCreate, TaskQuery
from deborch_shared.contract.states import HostState, TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import BuildDone, CancelTask, HostHeartbeat, Progress, RunningTask, TaskRefused
from deborch_shared.ids import TaskId

NOOP = TaskCreate()


async def leading(start_replica: StartReplica, **changes: Any) -> Replica:
    replica = await start_replica(**changes)
    async with asyncio.timeout(10):
        while not replica.process.leadership.held:
            await asyncio.sleep(0.01)
    return replica


async def test_a_task_is_submitted_assigned_run_and_completed(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    order = await builder.assignment()
    assert (order.task_id, order.attempt) == (task.id, 1)
    await builder.start(order)
    await replica.until(task.id, "running")
    await builder.finish(order)
    await replica.until(task.id, "completed")
    types = [
        row["type"]
        for row in await replica.database.fetch("SELECT type FROM event WHERE task_id = $1 ORDER BY xid, seq", task.id)
    ]
    assert types == ["task.created", "task.assigned", "task.running", "task.completed"]
    async with asyncio.timeout(5):
        while await replica.database.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.01)
    assert not replica.context.board.hosts[1].tasks


async def test_a_task_waits_for_a_host_and_is_placed_when_one_comes(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    assert (await replica.task(task.id))["state"] == "free"
    builder = await start_builder(replica)
    assert (await builder.assignment()).task_id == task.id


async def test_tasks_beyond_the_room_wait_and_are_placed_by_priority(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica, cpu=1)
    first = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    low = await replica.hub.create_task(TaskCreate(cpu=1, priority=-5), ADMIN, None)
    high = await replica.hub.create_task(TaskCreate(cpu=1, priority=5), ADMIN, None)
    order = []
    for _ in range(3):
        assignment = await builder.assignment()
        order.append(assignment.task_id)
        await builder.finish(assignment)
    assert order == [first.id, high.id, low.id]


async def test_a_late_report_of_an_old_attempt_changes_nothing(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    first = await builder.assignment()
    await builder.finish(first, succeeded=False, failure_class="chroot-fault")
    second = await builder.assignment()
    assert second.attempt == 2
    await builder.start(second)
    await replica.until(task.id, "running")
    await builder.say(BuildDone(task_id=task.id, attempt=1, host="b1", succeeded=False, failure_class="compile"))
    await builder.finish(second)
    assert (await replica.until(task.id, "completed", "failed"))["state"] == "completed"


async def test_a_report_of_another_host_changes_nothing(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    order = await builder.assignment()
    await builder.say(BuildDone(task_id=task.id, attempt=1, host="b2", succeeded=True))
    await builder.finish(order, succeeded=False, failure_class="compile", message="error: no")
    row = await replica.until(task.id, "completed", "failed")
    assert (row["state"], row["failure_class"], row["message"]) == ("failed", "compile", "error: no")


async def test_a_refused_task_goes_to_another_host(start_replica: StartReplica, start_builder: StartBuilder) -> None:
    replica = await leading(start_replica)
    builders = {name: await start_builder(replica, name) for name in ("b1", "b2")}
    await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    done, _ = await asyncio.wait(
        [asyncio.create_task(builder.assignment(), name=name) for name, builder in builders.items()],
        return_when=asyncio.FIRST_COMPLETED,
    )
    (first,) = done
    order = first.result()
    refuser, other = first.get_name(), next(name for name in builders if name != first.get_name())
    await builders[refuser].say(
        TaskRefused(task_id=order.task_id, attempt=1, host=refuser, reason="no room on the disk")
    )
    row = await replica.until(order.task_id, "assigned")
    async with asyncio.timeout(10):
        while row["attempt"] != 2:
            await asyncio.sleep(0.01)
            row = await replica.task(order.task_id)
    host = await replica.database.fetchval("SELECT name FROM host WHERE id = $1", row["host_id"])
    assert host == other


async def test_a_task_whose_lease_runs_out_is_given_to_another_host(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica, lease_s=2.0, heartbeat_s=0.2)
    silent = await start_builder(replica, "silent")
    task = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    await silent.start(await silent.assignment())
    alive = await start_builder(replica, "alive")

    async def beat() -> None:
        while True:
            await alive.say(HostHeartbeat(host="alive"))
            await asyncio.sleep(0.2)

    beating = asyncio.create_task(beat())
    order = await alive.assignment()
    assert (order.task_id, order.attempt) == (task.id, 2)
    beating.cancel()
    assert not await replica.database.fetchval("SELECT online FROM host WHERE name = 'silent'")


async def test_heartbeats_renew_leases_and_stop_what_is_not_the_hosts_any_more(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica, lease_s=2.0, heartbeat_s=0.2)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    order = await builder.assignment()
    await builder.start(order)
    for _ in range(15):
        await builder.say(
            HostHeartbeat(
                host="b1", running=(RunningTask(task_id=task.id, attempt=1), RunningTask(task_id=10**9, attempt=1))
            )
        )
        await asyncio.sleep(0.2)
    assert (await replica.task(task.id))["state"] == "running"
    cancel = await builder.next_order()
    assert isinstance(cancel, CancelTask)
    assert cancel.task_id == 10**9


async def test_the_stage_of_a_running_attempt_is_shown_until_it_ends(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)

    async def beat(attempt: int, stage: str) -> None:
        running = (RunningTask(task_id=task.id, attempt=attempt, stage=stage),)
        await builder.say(HostHeartbeat(host="b1", running=running))

    async def shown(stage: str) -> None:
        async with asyncio.timeout(10):
            while (await get_task(replica.database, TaskId(task.id))).stage != stage:
                await asyncio.sleep(0.01)

    first = await builder.assignment()
    await builder.start(first)
    await replica.until(task.id, "running")
    await shown("")
    await beat(1, "download")
    await shown("download")
    await beat(1, "bu\x00ild")
    await shown("bu\N{REPLACEMENT CHARACTER}ild")
    query = TaskQuery(state=TaskState.RUNNING)
    (listed,) = await list_tasks(replica.database, query, limit=5, before=None)
    assert listed.stage == "bu\N{REPLACEMENT CHARACTER}ild"
    await builder.finish(first, succeeded=False, failure_class="chroot-fault")
    second = await builder.assignment()
    await builder.start(second)
    await replica.until(task.id, "running")
    await beat(1, "late")
    assert isinstance(await builder.next_order(), CancelTask)
    await shown("")
    await beat(2, "upload")
    await shown("upload")
    await builder.finish(second)
    await replica.until(task.id, "completed")
    await shown("")


async def test_what_a_running_attempt_uses_is_shown_and_told_once_for_each_stage(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    order = await builder.assignment()
    await builder.start(order)
    await replica.until(task.id, "running")

    async def beat(stage: str, cpu_s: float) -> None:
        used = Progress(stage_s=2.0, cpu_s=cpu_s, memory_bytes=1 << 20, log_bytes=300)
        running = (RunningTask(task_id=task.id, attempt=1, stage=stage, progress=used),)
        await builder.say(HostHeartbeat(host="b1", running=running))
        async with asyncio.timeout(10):
            while True:
                shown = (await get_task(replica.database, TaskId(task.id))).progress
                if shown is not None and shown.cpu_s == cpu_s:
                    break
                await asyncio.sleep(0.01)

    for stage, cpu_s in (("dependencies", 1.0), ("dependencies", 2.0), ("build", 3.0), ("build", 4.0)):
        await beat(stage, cpu_s)
    bodies = await replica.database.fetch("SELECT body FROM event WHERE type = 'task.progress' ORDER BY xid, seq")
    told = [orjson.loads(row["body"])["data"] for row in bodies]
    assert [(one["stage"], one["cpu_s"]) for one in told] == [("dependencies", 1.0), ("build", 3.0)]
    assert told[0]["memory_bytes"] == 1 << 20
    await builder.finish(order)
    await replica.until(task.id, "completed")
    assert (await get_task(replica.database, TaskId(task.id))).progress is None


async def test_a_host_that_cannot_build_gets_no_builds_and_why_says_what_is_wrong(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    await builder.say(HostHeartbeat(host="b1", obstacle="the disk is nearly full"))
    async with asyncio.timeout(10):
        while not replica.context.board.hosts[1].unready:
            await asyncio.sleep(0.01)
    task = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    why = await explain(replica.database, TaskId(task.id))
    assert [(one.host, one.obstacle) for one in why.hosts] == [("b1", "unready")]
    assert "the disk is nearly full" in why.summary
    weightless = await replica.hub.create_task(NOOP, ADMIN, None)
    assert (await builder.assignment()).task_id == weightless.id
    await builder.say(HostHeartbeat(host="b1"))
    assert (await builder.assignment()).task_id == task.id


async def test_canceling_tells_the_host_and_frees_its_room(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica, cpu=1)
    task = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    await builder.start(await builder.assignment())
    await replica.until(task.id, "running")
    await replica.hub.cancel_task(TaskId(task.id), ADMIN)
    order = await builder.next_order()
    assert isinstance(order, CancelTask)
    assert (await replica.task(task.id))["state"] == "canceled"
    following = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    assert (await builder.assignment()).task_id == following.id
    with pytest.raises(DeborchError) as refused:
        await replica.hub.cancel_task(TaskId(task.id), ADMIN)
    assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION


async def test_a_disabled_host_gets_nothing(start_replica: StartReplica, start_builder: StartBuilder) -> None:
    replica = await leading(start_replica)
    await start_builder(replica)
    await replica.hub.change_host("b1", HostState.DISABLED, ADMIN)
    task = await replica.hub.create_task(NOOP, ADMIN, None)
    await asyncio.sleep(0.5)
    assert (await replica.task(task.id))["state"] == "free"
    await replica.hub.change_host("b1", HostState.ENABLED, ADMIN)
    await replica.until(task.id, "assigned")


async def test_a_name_that_another_principal_registered_is_refused(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    await start_builder(replica)
    await replica.database.execute("UPDATE host SET principal = 'host:other'")
    before = await replica.database.fetchrow("SELECT * FROM host")
    with pytest.raises(DeborchError) as refused:
        await start_builder(replica, cpu=99, tags=("mine",))
    assert refused.value.code is ErrorCode.NAME_TAKEN
    assert refused.value.hint
    assert await replica.database.fetch("SELECT * FROM host") == [before]


async def test_the_same_idempotency_key_makes_one_task(start_replica: StartReplica) -> None:
    replica = await leading(start_replica)
    once = Idempotency("abc", b"x" * 32)
    first = await replica.hub.create_task(NOOP, ADMIN, once)
    again = await replica.hub.create_task(NOOP, ADMIN, once)
    assert first.id == again.id
    with pytest.raises(DeborchError):
        await replica.hub.create_task(NOOP, ADMIN, Idempotency("abc", b"y" * 32))


async def test_another_replica_takes_over_and_the_old_epoch_can_assign_nothing(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    first = await leading(start_replica, heartbeat_s=30)
    second = await start_replica(heartbeat_s=30)
    builder = await start_builder(first)
    old_epoch = first.process.leadership.epoch
    await first.database.execute("UPDATE scheduler_lease SET expires_at = '-infinity'")
    await first.database.execute(
        "UPDATE scheduler_lease SET holder = 'hub-2', epoch = epoch + 1, expires_at = now() + interval '1 hour'"
    )
    first.process.leadership.epoch = old_epoch
    task = await first.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    assert (await first.task(task.id))["state"] == "free"
    await first.database.execute("UPDATE scheduler_lease SET expires_at = '-infinity'")
    async with asyncio.timeout(10):
        while not (first.process.leadership.held or second.process.leadership.held):
            await asyncio.sleep(0.01)
    assert (await builder.assignment()).task_id == task.id


async def test_tasks_submitted_at_a_replica_that_does_not_schedule_are_placed_all_the_same(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    first = await leading(start_replica, heartbeat_s=30)
    second = await start_replica(heartbeat_s=30)
    builder = await start_builder(second)
    async with asyncio.timeout(10):
        while not first.context.board.hosts:
            await asyncio.sleep(0.01)
    task = await second.hub.create_task(NOOP, ADMIN, None)
    assert (await builder.assignment()).task_id == task.id


async def test_many_tasks_at_once_each_end_exactly_once(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica, heartbeat_s=30)
    builders = [await start_builder(replica, f"b{n}") for n in range(3)]

    async def work(builder: Any) -> None:
        while True:
            order = await builder.assignment()
            await builder.finish(order)

    workers = [asyncio.create_task(work(builder)) for builder in builders]
    tasks = await asyncio.gather(*(replica.hub.create_task(TaskCreate(cpu=n % 2), ADMIN, None) for n in range(300)))
    async with asyncio.timeout(30):
        while await replica.database.fetchval("SELECT count(*) FROM task WHERE state <> 'completed'"):
            await asyncio.sleep(0.05)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert len({task.id for task in tasks}) == 300
    doubled = await replica.database.fetch(
        "SELECT task_id FROM event WHERE type = 'task.completed' GROUP BY task_id HAVING count(*) <> 1"
    )
    assert not doubled
