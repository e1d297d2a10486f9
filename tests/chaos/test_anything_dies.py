"""kill -9 of every part with work in flight: each task ends exactly once, and nothing is asked of the operator."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest
from tests.integration.deb_mock.tiny_source import make_source
from tests.system import LEASE_S, System, eventually, settings

from deborch_cli.local.environments import hub_environment
from deborch_shared.contract.builds import TaskRef
from deborch_shared.contract.states import BuildState, TaskState

QUEUES_SAVED_AFTER_S = 2.0
"""RabbitMQ 3.10 saves the names of new quorum queues after a while; killed before that, it cannot serve them again."""


async def submit_many(system: System, count: int, duration_s: float) -> list[TaskRef]:
    return [await system.noop(duration_s=duration_s, cpu=0) for _ in range(count)]


async def all_completed_exactly_once(system: System, tasks: Sequence[TaskRef], *, within_s: float = 60) -> None:
    ids = {task.id for task in tasks}

    async def over() -> bool:
        found = [task for task in await system.tasks() if task.id in ids]
        return len(found) == len(ids) and all(task.state.is_terminal for task in found)

    await eventually("every task has ended", over, within_s=within_s)
    others = [t for t in await system.tasks() if t.id in ids and t.state is not TaskState.COMPLETED]
    assert not others, [(t.id, t.state, t.message, (await system.task(t.id)).attempts) for t in others]
    connection = await asyncpg.connect(system.stack.endpoints.hub_database_url)
    try:
        rows = await connection.fetch(
            "SELECT task_id, count(*) FROM event WHERE type = 'task.completed' AND task_id = ANY($1) GROUP BY 1",
            list(ids),
        )
        assert {row["task_id"]: row["count"] for row in rows} == dict.fromkeys(ids, 1)
    finally:
        await connection.close()


async def test_the_hub_is_killed_with_tasks_in_flight(system: System) -> None:
    tasks = await submit_many(system, 20, 1.0)
    system.stack.services["hub"].kill()
    await all_completed_exactly_once(system, tasks)


async def test_rabbitmq_is_killed_with_tasks_in_flight(system: System) -> None:
    await asyncio.sleep(QUEUES_SAVED_AFTER_S)
    tasks = await submit_many(system, 20, 1.0)
    assert system.stack.rabbitmq is not None
    system.stack.rabbitmq.kill()
    await asyncio.sleep(0.2)
    tasks += await submit_many(system, 5, 0.0)
    await all_completed_exactly_once(system, tasks, within_s=90)


async def test_postgresql_is_killed_with_tasks_in_flight(system: System) -> None:
    tasks = await submit_many(system, 20, 1.0)
    assert system.stack.postgres is not None
    system.stack.postgres.kill()
    await all_completed_exactly_once(system, tasks, within_s=90)


async def test_the_builder_is_killed_in_mid_build_and_the_build_is_done_all_the_same(
    system: System, tmp_path: Path
) -> None:
    await system.run_cli("target", "create", "stable", "--suite", host_suite(), "--arch", "amd64")
    sources = tmp_path / "sources"
    sources.mkdir()
    dsc = make_source(sources, body="sleep 4", name="sleepy")
    build = await system.json("build", str(dsc), "--target", "stable")

    async def building() -> bool:
        detail = await system.build(build["id"])
        return any(task.state is TaskState.RUNNING for task in detail.tasks)

    await eventually("the build runs", building, within_s=120)
    await asyncio.sleep(2)
    system.stack.services["builder"].kill()

    async def over() -> bool:
        return (await system.build(build["id"])).state.is_terminal

    await eventually("the build has ended", over, within_s=120)
    detail = await system.build(build["id"])
    assert detail.state is BuildState.COMPLETED
    (task,) = detail.tasks
    await all_completed_exactly_once(system, [TaskRef(id=task.id, state=task.state)])
    attempts = (await system.task(task.id)).attempts
    assert [attempt.outcome for attempt in attempts] == ["freed", "completed"]
    packages = await system.json("archive", "packages", "stable")
    assert [package["package"] for package in packages] == ["sleepy"]
    assert left_of_builds(system) == []


async def test_a_stopped_scheduling_replica_is_replaced_and_can_change_nothing_when_it_wakes(system: System) -> None:
    second = await start_second_hub(system)
    try:
        first = system.stack.services["hub"].process.pid
        before = await submit_many(system, 5, 3.0)
        os.kill(first, signal.SIGSTOP)
        try:
            await eventually("another replica schedules", lambda: holder_is(system, second.pid), within_s=5.5)
            connection = await asyncpg.connect(system.stack.endpoints.hub_database_url)
            epoch = await connection.fetchval("SELECT epoch FROM scheduler_lease")
            await connection.close()
        finally:
            os.kill(first, signal.SIGCONT)
        after = await submit_many(system, 20, 0.2)
        await all_completed_exactly_once(system, [*before, *after])
        connection = await asyncpg.connect(system.stack.endpoints.hub_database_url)
        assert await connection.fetchval("SELECT epoch FROM scheduler_lease") == epoch
        await connection.close()
    finally:
        second.terminate()
        await second.wait()


async def start_second_hub(system: System) -> asyncio.subprocess.Process:
    port_file = system.stack.data.root / "run" / "hub2.port"
    environment = {
        **hub_environment(system.stack.endpoints, system.stack.data, settings(Path("/nonexistent"))),
        "DEBORCH_HUB_PORT": "0",
        "DEBORCH_HUB_PORT_FILE": str(port_file),
        "DEBORCH_HUB_PUBLIC_URL": system.stack.endpoints.hub_url,
    }
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "deborch_hub", env=environment
    )

    async def listens() -> bool:
        return port_file.exists()

    await eventually("the second hub listens", listens, within_s=30)
    return process


async def holder_is(system: System, pid: int) -> bool:
    connection = await asyncpg.connect(system.stack.endpoints.hub_database_url)
    try:
        holder = await connection.fetchval("SELECT holder FROM scheduler_lease WHERE expires_at > clock_timestamp()")
        return str(holder).endswith(f"-{pid}")
    finally:
        await connection.close()


def left_of_builds(system: System) -> list[str]:
    """Mounts and files of buildroots that nobody uses."""
    state = system.stack.data.builder / "mock" / "state"
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(state) in line]
    return mounts + [str(path) for path in state.rglob("*") if path.is_dir() and path.name != "sandboxes"]


def host_suite() -> str:
    from deborch_cli.local.demo import host_suite as suite

    return suite()


async def test_the_lease_of_a_builder_that_stays_away_runs_out_and_its_task_is_free_again(system: System) -> None:
    task = await system.noop(duration_s=30)

    async def runs() -> bool:
        return (await system.task(task.id)).state is TaskState.RUNNING

    await eventually("the task runs", runs)
    os.kill(system.stack.services["builder"].process.pid, signal.SIGSTOP)
    try:

        async def free() -> bool:
            found = await system.task(task.id)
            return found.state is TaskState.FREE and found.attempt == 1

        await eventually("the task is free again", free, within_s=LEASE_S + 6)
        why = await system.json("task", "why", str(task.id))
        assert why["state"] == "free"
        assert any(host["obstacle"] == "lost" for host in why["hosts"])
    finally:
        os.kill(system.stack.services["builder"].process.pid, signal.SIGCONT)

    async def again() -> bool:
        return (await system.task(task.id)).attempt == 2

    await eventually("the host is heard again and gets it", again)
    await system.run_cli("task", "cancel", str(task.id))


@pytest.mark.parametrize("part", ["auth"])
async def test_tokens_that_were_issued_work_on_while_auth_is_away(system: System, part: str) -> None:
    await system.noop()
    system.stack.services[part].kill()
    task = await system.noop()

    async def done() -> bool:
        return (await system.task(task.id)).state is TaskState.COMPLETED

    await eventually("the task is done", done)
