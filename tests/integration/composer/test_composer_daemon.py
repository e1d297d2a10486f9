"""Composers as processes, against a real broker and a hub over HTTP."""

import asyncio
import signal
import time

from tests.integration.composer.conftest import Scene

from deborch_shared.events.composes import (
    CancelCompose,
    ComposeDone,
    ComposePhaseDone,
    ComposeReleased,
    ComposerHeartbeat,
    ComposeStarted,
)

FILES = {"minimal.yaml": b"ref: a/b\n"}


async def test_a_compose_goes_from_the_shared_queue_to_results_at_the_hub(scene: Scene) -> None:
    async with scene.composer() as process:
        await scene.call(scene.hub.wants(1, FILES))
        await scene.until(lambda: scene.said(ComposeDone))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    (done,) = scene.said(ComposeDone)
    assert (done.outcome, done.composer) == ("finished", "c1")
    assert scene.hub.blobs[done.outputs[0].sha256] == b"a disk"
    assert f"{done.commits[0].commit}.commit" in scene.hub.objects
    assert scene.hub.phase_logs[1, 1, "ostree.server.amd64"] == b"ostree.server.amd64 begins\n"
    (composer,) = scene.hub.composers
    assert composer["slots"] == 1


async def test_a_compose_that_was_killed_in_a_phase_is_resumed_behind_the_finished_ones(scene: Scene) -> None:
    async with scene.composer(hold_at="gather") as process:
        await scene.call(scene.hub.wants(1, FILES))
        await scene.until(lambda: scene.ran() == ["init", "gather.server.amd64"])
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with scene.composer():
        await scene.until(lambda: scene.said(ComposeReleased))
        (released,) = scene.said(ComposeReleased)
        assert (released.compose_id, released.attempt) == (1, 1)
        scene.hub.owners.clear()
        await scene.call(scene.hub.call_for(1))
        await scene.until(lambda: scene.said(ComposeDone))
    assert scene.ran() == ["init", "gather.server.amd64", "gather.server.amd64", "ostree.server.amd64"]
    assert scene.said(ComposeStarted)[-1].resumed
    assert [one.state for one in scene.said(ComposePhaseDone) if one.attempt == 2] == ["reused", "done", "done", "done"]
    assert scene.said(ComposeDone)[0].attempt == 2


async def test_two_composers_share_the_queue_and_each_compose_has_one_owner(scene: Scene) -> None:
    async with scene.composer("c1"), scene.composer("c2"):
        events = [scene.hub.wants(number, FILES) for number in range(1, 9)]
        await scene.call(*events, *events)
        await scene.until(lambda: len(scene.said(ComposeDone)) == 8)
        await asyncio.sleep(0.3)
    assert sorted(done.compose_id for done in scene.said(ComposeDone)) == list(range(1, 9))
    assert set(scene.hub.attempts.values()) == {1}
    assert {done.composer for done in scene.said(ComposeDone)} <= {"c1", "c2"}


async def test_what_a_busy_composer_has_no_room_for_goes_to_another(scene: Scene) -> None:
    async with scene.composer("c1", hold_at="init"):
        await scene.call(scene.hub.wants(1, FILES), scene.hub.wants(2, FILES), scene.hub.wants(3, FILES))
        await scene.until(lambda: scene.ran("c1"))
        async with scene.composer("c2"):
            await scene.until(lambda: len(scene.said(ComposeDone)) == 2)
    assert {done.composer for done in scene.said(ComposeDone)} == {"c2"}
    assert len(scene.ran("c1")) == 1


async def test_a_cancel_stops_the_engine_within_seconds(scene: Scene) -> None:
    async with scene.composer(hold_at="gather"):
        await scene.call(scene.hub.wants(1, FILES))
        await scene.until(lambda: any(beat.running for beat in scene.said(ComposerHeartbeat)))
        await scene.until(lambda: len(scene.ran()) == 2)
        began_s = time.monotonic()
        await scene.command("c1", CancelCompose(compose_id=1, attempt=1))
        scene.events.clear()
        await scene.until(lambda: any(not beat.running for beat in scene.said(ComposerHeartbeat)))
        assert time.monotonic() - began_s < 5
    assert not scene.said(ComposeDone)


async def test_sigterm_gives_back_what_does_not_end_in_time(scene: Scene) -> None:
    async with scene.composer(hold_at="gather") as process:
        await scene.call(scene.hub.wants(1, FILES))
        await scene.until(lambda: len(scene.ran()) == 2)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    await scene.until(lambda: scene.said(ComposeReleased))
    assert any(beat.draining for beat in scene.said(ComposerHeartbeat))
