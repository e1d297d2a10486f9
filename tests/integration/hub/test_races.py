"""What happens when two things happen at once: nobody waits for ever, and nothing is told to nobody."""

import asyncio
from pathlib import Path
from typing import Any

from tests.integration.hub.harness import ADMIN, Replica, StartBuilder, StartReplica
from tests.integration.hub.packages import deb, source
from tests.integration.hub.test_build_life import ready, state_of, submit
from tests.integration.hub.test_task_life import leading

from deborch_hub.handlers.port import Idempotency
from deborch_shared.bus import Bus, host_queue
from deborch_shared.contract.builds import BuildCreate, TaskCreate
from deborch_shared.contract.hosts import HostRegister
from deborch_shared.contract.states import TaskKind
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.security import Principal, Role


async def with_target(start_replica: StartReplica, **changes: Any) -> Replica:
    """A replica with the target stable; builders that say no heartbeats count as there for the whole of a test."""
    replica = await leading(start_replica, heartbeat_s=30.0, lease_s=60.0, **changes)
    await replica.hub.create_target(TargetCreate(name="stable", suite="bookworm", architectures=("amd64",)), ADMIN)
    return replica


async def test_a_dependency_that_is_published_while_it_is_looked_for_is_found_at_the_next_try(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await with_target(start_replica)
    builder = await start_builder(replica)
    await submit(replica, await source(replica, tmp_path, "needs", "1.0"))
    looking = await builder.assignment()
    await builder.start(looking)
    other = await submit(replica, await source(replica, tmp_path, "tiny", "2.0"))
    await builder.finish(await builder.assignment(), await deb(replica, tmp_path, "libtiny-dev", "2.0"))
    await state_of(replica, other, "completed")
    await builder.finish(looking, succeeded=False, failure_class="dep-wait", missing=("libtiny-dev",))
    again = await builder.assignment()
    assert (again.task_id, again.attempt) == (looking.task_id, 2)
    await builder.finish(again, succeeded=False, failure_class="dep-wait", missing=("libother-dev",))
    await replica.until(looking.task_id, "blocked")


async def test_who_waits_long_for_build_dependencies_tries_again_by_himself(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await with_target(start_replica, dep_wait_retry_s=0.5)
    builder = await start_builder(replica)
    await submit(replica, await source(replica, tmp_path, "needs", "1.0"))
    order = await builder.assignment()
    await builder.finish(order, succeeded=False, failure_class="dep-wait", missing=("libtiny-dev",))
    again = await builder.next_order(within_s=15)
    assert again.model_dump()["attempt"] == 2


async def test_a_build_after_one_that_is_just_being_published_does_not_wait_for_ever(
    start_replica: StartReplica, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    first = await submit(replica, await source(replica, tmp_path, "one", "1.0"))
    async with replica.database.transaction() as publishing:
        await publishing.execute("UPDATE build SET state = 'completed', ended_at = now() WHERE id = $1", first)
        made = await source(replica, tmp_path, "two", "1.0")
        submitting = asyncio.create_task(submit(replica, made, after_builds=(first,)))
        await asyncio.sleep(0.3)
        assert not submitting.done()
    second = await submitting
    assert await replica.database.fetchval("SELECT state FROM task WHERE build_id = $1", second) != "blocked"


async def test_a_new_source_that_is_submitted_to_two_targets_at_once_is_built_in_both(
    start_replica: StartReplica, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    names = [f"t{number}" for number in range(6)]
    for name in names:
        await replica.hub.create_target(TargetCreate(name=name, suite="bookworm", architectures=("amd64",)), ADMIN)
    made = await source(replica, tmp_path, "fresh", "1.0")
    wanted = [BuildCreate(target=name, dsc=made.dsc, files=made.files) for name in names]
    builds = await asyncio.gather(*(replica.hub.create_build(one, ADMIN, None) for one in wanted))
    assert len(set(builds)) == len(names)
    assert await replica.database.fetchval("SELECT count(*) FROM source_version") == 1


async def test_one_request_that_is_sent_twice_at_once_makes_one_build(
    start_replica: StartReplica, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    made = await source(replica, tmp_path, "once", "1.0")
    wanted = BuildCreate(target="stable", dsc=made.dsc, files=made.files)
    once = Idempotency("key", b"same request")
    builds = await asyncio.gather(*(replica.hub.create_build(wanted, ADMIN, once) for _ in range(5)))
    assert len(set(builds)) == 1


async def test_a_repeated_request_tells_where_the_task_is_now_and_its_making_was_told(
    start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    builder = await start_builder(replica)
    wanted, once = TaskCreate(kind=TaskKind.NOOP), Idempotency("key", b"request")
    made = await replica.hub.create_task(wanted, ADMIN, once)
    await builder.finish(await builder.assignment())
    await replica.until(made.id, "completed")
    assert (await replica.hub.create_task(wanted, ADMIN, once)).state == "completed"
    types = await replica.database.fetch("SELECT type FROM event WHERE task_id = $1 ORDER BY xid, seq", made.id)
    assert types[0]["type"] == "task.created"


async def test_what_is_assigned_before_a_new_builder_listens_waits_for_it(
    start_replica: StartReplica, amqp_url: str
) -> None:
    replica = await leading(start_replica)
    task = await replica.hub.create_task(TaskCreate(kind=TaskKind.NOOP), ADMIN, None)
    described = HostRegister(name="late", architectures=("amd64",), cpu=4, memory_bytes=8 << 30, disk_bytes=50 << 30)
    await replica.hub.register_host(described, Principal("host:late", frozenset({Role.BUILDER}), host="late"))
    await replica.until(task.id, "assigned")
    await asyncio.sleep(0.5)
    orders: asyncio.Queue[Any] = asyncio.Queue()

    async def take(events: Any) -> None:
        for event in events:
            orders.put_nowait(event.data)

    bus = Bus(amqp_url, name="late")
    bus.consume(host_queue("late"), take)
    listening = asyncio.create_task(bus.run())
    try:
        async with asyncio.timeout(5):
            assert (await orders.get()).task_id == task.id
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_burst_of_builds_does_not_run_out_of_connections_that_it_holds_itself(
    start_replica: StartReplica, tmp_path: Path
) -> None:
    replica = await with_target(start_replica, database_pool=2)
    for ids in (replica.process.task_ids, replica.process.transactions.outbox_ids):
        ids._block = 1
        ids._ready.clear()
    sources = [await source(replica, tmp_path, f"burst{number}", "1.0") for number in range(8)]
    async with asyncio.timeout(4):
        builds = await asyncio.gather(*(submit(replica, made) for made in sources))
    assert len(set(builds)) == len(sources)
