"""The life of a build: from a source package to a published archive, and every way that it can end otherwise."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.hub.harness import ADMIN, Replica, StartBuilder, StartReplica
from tests.integration.hub.packages import Source, deb, source
from tests.integration.hub.test_task_life import leading

from deborch_hub.scheduler.warmer import Warmer
from deborch_hub.store.reads.builds import get_build
from deborch_hub.store.reads.tasks import get_task
from deborch_shared.contract.builds import BuildCreate, GiveBack, SuiteSource
from deborch_shared.contract.payloads import BuildPackagePayload, FetchSourcePayload
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import CancelTask, File, PrepareEnvironment, Resources, Stage
from deborch_shared.ids import BuildId, TaskId


async def ready(start_replica: StartReplica) -> Replica:
    replica = await leading(start_replica)
    await replica.hub.create_target(TargetCreate(name="stable", suite="bookworm", architectures=("amd64",)), ADMIN)
    return replica


async def submit(replica: Replica, made: Source, **changes: Any) -> BuildId:
    wanted = BuildCreate(target="stable", dsc=made.dsc, files=made.files, **changes)
    return await replica.hub.create_build(wanted, ADMIN, None)


async def state_of(replica: Replica, build_id: int, *wanted: str, within_s: float = 60) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while True:
            row = await replica.database.fetchrow("SELECT * FROM build WHERE id = $1", build_id)
            assert row is not None
            if row["state"] in wanted:
                return dict(row)
            await asyncio.sleep(0.02)


async def types_of(replica: Replica, build_id: int) -> list[str]:
    rows = await replica.database.fetch("SELECT type FROM event WHERE build_id = $1 ORDER BY xid, seq", build_id)
    return [row["type"] for row in rows]


async def test_a_source_becomes_a_published_package(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    build_id = await submit(replica, await source(replica, tmp_path, "tiny", "1.0"))
    order = await builder.assignment()
    payload = BuildPackagePayload.model_validate(order.payload)
    assert (payload.suite, payload.mode, payload.architecture) == ("bookworm", "any", "amd64")
    assert [file.name for file in payload.files] == ["tiny_1.0.tar.xz"]
    assert "URIs: http" in payload.archives[0].sources
    await builder.finish(order, await deb(replica, tmp_path, "tiny", "1.0"))
    await state_of(replica, build_id, "completed")
    packages = list((tmp_path / "hub" / "archives" / "stable").rglob("Packages.gz"))
    assert packages
    types = await types_of(replica, build_id)
    assert types[0] == "build.requested"
    assert types[-1] == "build.completed"
    assert types.count("task.completed") == 1


async def test_the_next_build_of_a_source_asks_for_what_the_last_one_used(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    first = await submit(replica, await source(replica, tmp_path, "tiny", "1.0"))
    order = await builder.assignment()
    assert order.resources.memory_bytes == 1 << 30
    stages = (
        Stage(name="dependencies", wall_s=10.0, cpu_s=2.0, memory_peak_bytes=300 << 20),
        Stage(name="build", wall_s=50.0, cpu_s=40.0, memory_peak_bytes=2500 << 20, disk_bytes=100 << 20),
    )
    await builder.finish(order, await deb(replica, tmp_path, "tiny", "1.0"), stages=stages)
    await state_of(replica, first, "completed")
    second = await submit(replica, await source(replica, tmp_path, "tiny", "1.1"))
    order = await builder.assignment()
    assert order.resources == Resources(cpu=1, memory_bytes=4 << 30, disk_bytes=512 << 20)
    await builder.start(order)
    await replica.until(order.task_id, "running")
    task = await get_task(replica.database, TaskId(order.task_id))
    assert task.expected_s == 60.0
    assert task.started_at is not None
    assert task.expected_end_at == task.started_at + timedelta(seconds=60)
    (estimate,) = (await get_build(replica.database, second)).estimates
    assert (estimate.architecture, estimate.builds, estimate.memory_peak_bytes) == ("amd64", 1, 2500 << 20)


async def test_hosts_are_told_which_bases_the_queue_will_want(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    has_it = await start_builder(replica, "b1", tags=("env:bookworm",), cpu=1)
    lacks_it = await start_builder(replica, "b2", cpu=1)
    for number in range(4):
        await submit(replica, await source(replica, tmp_path, f"tiny{number}", "1.0"))
    await Warmer(replica.context, replica.process.clock).look()
    async with asyncio.timeout(10):
        while not lacks_it.wishes:
            await asyncio.sleep(0.01)
    wish = PrepareEnvironment(suite="bookworm", components=("main",), architecture="amd64")
    assert lacks_it.wishes[0] == wish
    assert not has_it.wishes


async def test_a_published_version_is_refused_whatever_its_content_and_a_scratch_build_of_it_is_not(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    made = await source(replica, tmp_path, "tiny", "1.0")
    build_id = await submit(replica, made)
    with pytest.raises(DeborchError) as twice:
        await submit(replica, made)
    assert twice.value.code is ErrorCode.ALREADY_EXISTS
    await builder.finish(await builder.assignment(), await deb(replica, tmp_path, "tiny", "1.0"))
    await state_of(replica, build_id, "completed")
    with pytest.raises(DeborchError) as refused:
        await submit(replica, made)
    assert refused.value.code is ErrorCode.VERSION_PRESENT
    scratch = await submit(replica, made, scratch=True)
    await builder.finish(await builder.assignment(), await deb(replica, tmp_path, "tiny", "1.0", note="other"))
    await state_of(replica, scratch, "completed")
    assert await replica.database.fetchval("SELECT count(*) FROM archive_binary") == 1


async def test_a_package_that_is_there_with_other_content_fails_the_build_and_changes_nothing(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    first = await submit(replica, await source(replica, tmp_path, "one", "1.0"))
    await builder.finish(await builder.assignment(), await deb(replica, tmp_path, "shared-name", "1.0"))
    await state_of(replica, first, "completed")
    second = await submit(replica, await source(replica, tmp_path, "two", "1.0"))
    other = await deb(replica, tmp_path, "shared-name", "1.0", note="other content")
    await builder.finish(await builder.assignment(), other)
    row = await state_of(replica, second, "failed", "completed")
    assert row["state"] == "failed"
    assert "shared-name 1.0" in row["message"]
    assert await replica.database.fetchval("SELECT count(*) FROM archive_source") == 1


async def test_missing_build_dependencies_block_until_the_archive_has_them(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    waiting = await submit(replica, await source(replica, tmp_path, "needs", "1.0"))
    order = await builder.assignment()
    await builder.finish(order, succeeded=False, failure_class="dep-wait", missing=("libtiny-dev (>= 2)",))
    row = await replica.until(order.task_id, "blocked")
    assert (row["blocked_reason"], row["missing"]) == ("build-dependencies", ["libtiny-dev (>= 2)"])
    assert (await state_of(replica, waiting, "building"))["state"] == "building"
    await submit(replica, await source(replica, tmp_path, "tiny", "2.0"))
    await builder.finish(await builder.assignment(), await deb(replica, tmp_path, "libtiny-dev", "2.0"))
    again = await builder.assignment()
    assert (again.task_id, again.attempt) == (order.task_id, 2)
    await builder.finish(again, await deb(replica, tmp_path, "needs", "1.0"))
    await state_of(replica, waiting, "completed")


async def test_a_build_waits_for_the_builds_that_it_names(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    first = await submit(replica, await source(replica, tmp_path, "lib", "1.0"))
    second = await submit(replica, await source(replica, tmp_path, "app", "1.0"), after_builds=(first,))
    order = await builder.assignment()
    assert order.build_id == first
    assert await replica.database.fetchval("SELECT blocked_reason FROM task WHERE build_id = $1", second) == "archive"
    await builder.finish(order, await deb(replica, tmp_path, "lib", "1.0"))
    assert (await builder.assignment()).build_id == second


async def test_a_source_is_fetched_from_the_suite_and_then_built(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    wanted = BuildCreate(target="stable", suite_source=SuiteSource(name="tiny"))
    build_id = await replica.hub.create_build(wanted, ADMIN, None)
    fetch = await builder.assignment()
    assert fetch.kind == "fetch-source"
    assert FetchSourcePayload.model_validate(fetch.payload).name == "tiny"
    made = await source(replica, tmp_path, "tiny", "3.0")
    brought = [file.model_dump() for file in (made.dsc, *made.files)]
    await builder.finish(fetch, *[File(**file) for file in brought])
    order = await builder.assignment()
    assert order.kind == "build-package"
    await builder.finish(order, await deb(replica, tmp_path, "tiny", "3.0"))
    row = await state_of(replica, build_id, "completed")
    assert row["version"] == "3.0"


async def test_a_failed_build_can_be_given_back(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    build_id = await submit(replica, await source(replica, tmp_path, "tiny", "1.0"))
    await builder.finish(await builder.assignment(), succeeded=False, failure_class="compile", message="boom")
    assert "compile" in (await state_of(replica, build_id, "failed"))["message"]
    await replica.hub.give_back(build_id, GiveBack(), ADMIN)
    order = await builder.assignment()
    assert order.attempt == 2
    await builder.finish(order, await deb(replica, tmp_path, "tiny", "1.0"))
    await state_of(replica, build_id, "completed")
    with pytest.raises(DeborchError):
        await replica.hub.give_back(build_id, GiveBack(), ADMIN)


async def test_canceling_a_build_stops_it_on_the_host(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    build_id = await submit(replica, await source(replica, tmp_path, "tiny", "1.0"))
    order = await builder.assignment()
    await builder.start(order)
    await replica.until(order.task_id, "running")
    await replica.hub.cancel_build(build_id, ADMIN)
    cancel = await builder.next_order()
    assert isinstance(cancel, CancelTask)
    assert (await state_of(replica, build_id, "canceled"))["ended_at"] is not None
    await builder.finish(order, await deb(replica, tmp_path, "tiny", "1.0"))
    await asyncio.sleep(0.5)
    assert (await replica.task(order.task_id))["state"] == "canceled"
    assert not await replica.database.fetchval("SELECT count(*) FROM archive_binary")


async def test_results_that_were_not_uploaded_or_have_unsafe_names_are_refused(
    start_replica: StartReplica, start_builder: StartBuilder, tmp_path: Path
) -> None:
    replica = await ready(start_replica)
    builder = await start_builder(replica)
    build_id = await submit(replica, await source(replica, tmp_path, "tiny", "1.0"))
    good = await deb(replica, tmp_path, "tiny", "1.0")
    await builder.finish(await builder.assignment(), good.model_copy(update={"name": "../../etc/cron.d/x.deb"}))
    row = await state_of(replica, build_id, "failed")
    assert "policy" in row["message"]
    await replica.hub.give_back(build_id, GiveBack(), ADMIN)
    await builder.finish(await builder.assignment(), good.model_copy(update={"sha256": "0" * 64}))
    await state_of(replica, build_id, "failed")
    assert not await replica.database.fetchval("SELECT count(*) FROM artifact")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"target": "nowhere"}, ErrorCode.NOT_FOUND),
        ({"architectures": ("riscv64",)}, ErrorCode.INVALID_INPUT),
        ({"files": ()}, ErrorCode.INVALID_SOURCE),
        ({"after_builds": (999,)}, ErrorCode.NOT_FOUND),
    ],
)
async def test_a_build_that_cannot_be_made_leaves_nothing_behind(
    start_replica: StartReplica, tmp_path: Path, change: dict[str, Any], code: ErrorCode
) -> None:
    replica = await ready(start_replica)
    made = await source(replica, tmp_path, "tiny", "1.0")
    values = {"target": "stable", "dsc": made.dsc, "files": made.files, **change}
    with pytest.raises(DeborchError) as refused:
        await replica.hub.create_build(BuildCreate(**values), ADMIN, None)
    assert refused.value.code is code
    assert refused.value.message
    assert refused.value.hint
    assert await replica.database.fetchval("SELECT count(*) FROM build") == 0
    assert await replica.database.fetchval("SELECT count(*) FROM task") == 0
    assert await replica.database.fetchval("SELECT count(*) FROM event WHERE type = 'build.requested'") == 0
