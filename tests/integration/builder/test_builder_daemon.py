"""The daemon against a real broker and a hub over HTTP."""

import asyncio
import os
import signal
import stat
import subprocess
from contextlib import AsyncExitStack

import aiohttp
import pytest
from tests.integration.builder.conftest import NAME, Scene, dead_letters, scene_on
from tests.integration.builder.hub_server import API_KEY, HubServer, serving
from tests.unit.builder.fakes import FakeEngine, build_task, files_below, noop

from deborch_shared.bus import COMMANDS, publications
from deborch_shared.bus.publisher import Publication
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import new_event
from deborch_shared.events.model import BuildDone, CancelTask, HostHeartbeat, TaskRefused, TaskStarted


async def test_a_builder_enrols_registers_and_shows_signs_of_life(scene: Scene) -> None:
    async with scene.daemon():
        await scene.until(lambda: len(scene.said(HostHeartbeat)) >= 2)
    assert scene.hub.enrolled == [NAME]
    key = scene.data_dir / "host.key"
    assert key.read_text().strip() == API_KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (host,) = scene.hub.hosts
    assert host["tags"] == ["fast", "ssd"]
    assert host["cpu"] >= 1
    assert host["memory_bytes"] > 0
    beat = scene.said(HostHeartbeat)[0]
    assert beat.memory_available_bytes > 0
    assert beat.disk_available_bytes > 0


async def test_a_second_start_uses_the_key_and_does_not_enrol_again(scene: Scene) -> None:
    for _ in range(2):
        async with scene.daemon(enrolment_token=None if scene.hub.enrolled else "deborch_enrol_00_once"):
            await scene.until(lambda: scene.said(HostHeartbeat))
        scene.events.clear()
    assert len(scene.hub.enrolled) == 1
    assert len(scene.hub.hosts) == 2


async def test_noops_go_from_assignment_to_done(scene: Scene) -> None:
    async with scene.daemon():
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(*(noop(number) for number in range(1, 301)))
        await scene.until(lambda: len(scene.said(BuildDone)) == 300)
    assert {report.task_id for report in scene.said(BuildDone)} == set(range(1, 301))
    assert all(report.succeeded for report in scene.said(BuildDone))


async def test_a_build_goes_through_resumed_transfers_and_a_refused_token(scene: Scene) -> None:
    task = build_task(scene.hub, 7)
    scene.hub.cut_downloads_after_bytes = 5
    scene.hub.cut_uploads_after_bytes = 1
    scene.hub.refuse_tokens = {"token-1"}
    async with scene.daemon():
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(task)
        await scene.until(lambda: scene.said(BuildDone), within_s=20)
    (done,) = scene.said(BuildDone)
    assert done.succeeded
    assert scene.hub.blobs[done.artifacts[0].sha256].startswith(b"a package built from")
    assert "bytes=5-" in scene.hub.ranges
    assert scene.hub.tokens >= 2
    assert scene.hub.logs[7, 1] == b"dpkg-buildpackage: building\n"


async def test_a_cancel_ends_a_build_within_a_second(scene: Scene) -> None:
    engine = FakeEngine()
    engine.hold = True
    async with scene.daemon(engine):
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(build_task(scene.hub, 7))
        await engine.building.wait()
        await scene.until(lambda: any(beat.running for beat in scene.said(HostHeartbeat)))
        (running,) = scene.said(HostHeartbeat)[-1].running
        assert (running.task_id, running.attempt, running.stage) == (7, 1, "build")
        await scene.command(CancelTask(task_id=7, attempt=1))
        await scene.until(lambda: engine.canceled, within_s=1)
    assert not scene.said(BuildDone)
    assert not files_below(scene.data_dir / "assignments")


async def test_an_order_of_another_version_is_refused_and_the_builder_goes_on(scene: Scene) -> None:
    task = build_task(scene.hub, 7)
    async with scene.daemon():
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(task.model_copy(update={"payload": {**task.payload, "mode": "some"}}), noop(8))
        await scene.until(lambda: scene.said(TaskRefused) and scene.said(BuildDone))
    (refusal,) = scene.said(TaskRefused)
    assert refusal.task_id == 7
    assert "mode" in refusal.reason
    assert [(report.task_id, report.succeeded) for report in scene.said(BuildDone)] == [(8, True)]
    assert not files_below(scene.data_dir / "assignments")


async def test_what_is_no_command_goes_to_the_dead_letters_and_the_builder_goes_on(scene: Scene, amqp_url: str) -> None:
    unknown = b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "task.vanish", "data": {}}'
    stray = publications([new_event(TaskStarted(task_id=1, attempt=1, host=NAME), source="/x")])[0].body
    async with scene.daemon():
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.bus.publish([Publication(COMMANDS, NAME, body) for body in (unknown, stray)])
        await scene.command(noop(8))
        await scene.until(lambda: scene.said(BuildDone))
        assert await dead_letters(amqp_url, 2) == [unknown, stray]
    assert not scene.said(TaskRefused)


@pytest.mark.root
async def test_sources_that_do_not_fit_on_the_disk_give_the_task_back_and_leave_nothing(scene: Scene) -> None:
    scene.data_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", scene.data_dir], check=True)
    try:
        task, content = build_task(scene.hub, 7), os.urandom(8 << 20)
        big = {"name": "hello_2.10.orig.tar.gz", "sha256": scene.hub.keep(content), "size_bytes": len(content)}
        async with scene.daemon(disk_floor_bytes=0):
            await scene.until(lambda: scene.said(HostHeartbeat))
            await scene.command(task.model_copy(update={"payload": {**task.payload, "files": [big]}}))
            await scene.until(lambda: scene.said(BuildDone))
            (done,) = scene.said(BuildDone)
            assert (done.succeeded, done.failure_class) == (False, "chroot-fault")
            assert "no space is left" in done.message
            await scene.until(lambda: not files_below(scene.data_dir / "work"))
            await scene.command(build_task(scene.hub, 8))
            await scene.until(lambda: len(scene.said(BuildDone)) == 2)
        assert scene.said(BuildDone)[1].succeeded
    finally:
        subprocess.run(["umount", scene.data_dir], check=True)


async def test_a_log_that_the_hub_does_not_want_any_more_ends_the_attempt(scene: Scene) -> None:
    engine = FakeEngine()
    engine.hold = True
    scene.hub.over.add((7, 1))
    async with scene.daemon(engine):
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(build_task(scene.hub, 7))
        await scene.until(lambda: engine.canceled)
    assert not scene.said(BuildDone)


async def test_a_build_outlives_a_hub_that_answers_503(scene: Scene) -> None:
    engine = FakeEngine()
    async with scene.daemon(engine):
        await scene.until(lambda: scene.said(HostHeartbeat))
        task = build_task(scene.hub, 7)
        scene.hub.unavailable = True
        await scene.command(task)
        await scene.until(lambda: scene.said(TaskStarted))
        await asyncio.sleep(0.5)
        scene.hub.unavailable = False
        await scene.until(lambda: scene.said(BuildDone), within_s=20)
    assert scene.said(BuildDone)[0].succeeded


async def test_a_builder_waits_for_a_hub_that_is_not_there_yet(scene: Scene) -> None:
    scene.hub.unavailable = True
    async with scene.daemon():
        await asyncio.sleep(0.3)
        assert not scene.hub.hosts
        scene.hub.unavailable = False
        await scene.until(lambda: scene.said(HostHeartbeat))


async def test_a_name_of_another_builder_is_fatal_and_says_what_to_do(scene: Scene) -> None:
    scene.hub.taken_names.add(NAME)
    with pytest.raises(DeborchError) as refused:
        async with scene.daemon():
            await asyncio.sleep(1)
    assert refused.value.code is ErrorCode.NAME_TAKEN
    assert "DEBORCH_BUILDER_NAME" in refused.value.hint


async def test_a_drain_gives_back_what_takes_too_long(scene: Scene) -> None:
    engine = FakeEngine()
    engine.hold = True
    async with scene.daemon(engine) as lifecycle:
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(build_task(scene.hub, 7))
        await engine.building.wait()
        lifecycle.stopping.set()
        await asyncio.sleep(0.1)
        await scene.command(noop(8))
        await scene.until(lambda: scene.said(TaskRefused))
    await scene.until(lambda: scene.said(BuildDone))
    assert scene.said(BuildDone)[0].failure_class == "host-lost"
    assert engine.closed


async def test_a_builder_that_leaves_says_so_before_it_goes(scene: Scene) -> None:
    async with scene.daemon():
        await scene.until(lambda: scene.said(HostHeartbeat))
        assert not any(beat.draining for beat in scene.said(HostHeartbeat))
    await scene.until(lambda: scene.said(HostHeartbeat)[-1].draining)


async def test_two_daemons_do_not_share_a_data_directory(scene: Scene) -> None:
    async with scene.daemon():
        with pytest.raises(DeborchError) as refused:
            async with scene.daemon():
                pass
    assert refused.value.code is ErrorCode.CONFLICT


async def test_the_process_leaves_with_status_0_after_sigterm(scene: Scene) -> None:
    async with scene.process() as process:
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(noop(1))
        await scene.until(lambda: scene.said(BuildDone))
        port = int((scene.data_dir / "port").read_text())
        async with aiohttp.ClientSession() as session:
            assert (await session.get(f"http://127.0.0.1:{port}/livez")).status == 200
            metrics = await (await session.get(f"http://127.0.0.1:{port}/metrics")).text()
        assert 'deborch_builder_assignments_total{answer="done-at-once"} 1.0' in metrics
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_what_ran_when_the_process_was_killed_is_given_back_by_the_next(scene: Scene) -> None:
    async with scene.process() as process:
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(noop(1, duration_s=3600))
        await scene.until(lambda: scene.said(TaskStarted))
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert files_below(scene.data_dir / "assignments") == ["1-1.json"]
    async with scene.process():
        await scene.until(lambda: scene.said(BuildDone))
    (lost,) = scene.said(BuildDone)
    assert (lost.task_id, lost.attempt, lost.failure_class) == (1, 1, "host-lost")
    assert not files_below(scene.data_dir / "assignments")


async def test_reports_outlive_a_broker_that_is_killed(own_rabbitmq, hub, tmp_path) -> None:
    engine = FakeEngine()
    engine.hold = True
    async with scene_on(own_rabbitmq.url(), hub, tmp_path / "data") as scene, scene.daemon(engine, drain_timeout_s=5):
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(build_task(hub, 7))
        await engine.building.wait()
        await scene.until(lambda: scene.said(TaskStarted))
        own_rabbitmq.kill()
        await own_rabbitmq.wait()
        engine.release()
        await scene.until(lambda: files_below(tmp_path / "data" / "spool"), within_s=30)
        await own_rabbitmq.start()
        await scene.until(lambda: scene.said(BuildDone), within_s=60)
    assert scene.said(BuildDone)[0].succeeded
    assert not files_below(tmp_path / "data" / "spool")


async def test_a_hub_that_was_gone_gets_the_rest_of_the_log_and_the_artifacts(amqp_url, tmp_path) -> None:
    server, engine = HubServer(), FakeEngine()
    engine.hold = True
    async with AsyncExitStack() as stack:
        async with serving(server):
            scene = await stack.enter_async_context(scene_on(amqp_url, server, tmp_path / "data"))
            await stack.enter_async_context(scene.daemon(engine, drain_timeout_s=5))
            await scene.until(lambda: scene.said(HostHeartbeat))
            await scene.command(build_task(server, 7))
            await scene.until(lambda: server.logs)
        engine.failure = DeborchError(ErrorCode.BUILD_FAILED, "make: Error 1")
        engine.release()
        await asyncio.sleep(1)
        assert not scene.said(BuildDone)
        async with serving(server):
            await scene.until(lambda: scene.said(BuildDone), within_s=20)
    assert b"failed (compile): make: Error 1" in server.logs[7, 1]
