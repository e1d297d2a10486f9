"""A compose from the call to the report: one owner, whole results, and every way to end early."""

from pathlib import Path

import pytest
from tests.unit.builder.fakes import until
from tests.unit.composer.conftest import Scene
from tests.unit.composer.fakes import COMMIT, NAME

from deborch_composer.compose_key import ComposeKey
from deborch_composer.recovery import recover
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import new_event
from deborch_shared.events.composes import (
    CancelCompose,
    ComposeDone,
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeReleased,
    ComposeRequested,
    ComposeStarted,
)


async def test_a_compose_goes_from_the_call_to_results_at_the_hub(scene: Scene) -> None:
    files = {"server.yaml": b"ref: a/b\n", "files/motd": b"hello\n"}
    scene.hub.known_refs = {"a/b": "d" * 64}
    await scene.asked(scene.hub.wants(7, files))
    await until(lambda: scene.said(ComposeDone))
    (done,) = scene.said(ComposeDone)
    assert isinstance(done, ComposeDone)
    assert (done.outcome, done.compose_id, done.attempt, done.composer) == ("finished", 7, 1, NAME)
    (output,) = done.outputs
    assert scene.hub.blobs[output.sha256] == b"a disk"
    assert output.path == "server/amd64/images/disk.raw"
    assert [commit.commit for commit in done.commits] == [COMMIT]
    assert set(scene.hub.objects) == set(scene.engine.objects)
    assert scene.engine.seen == [files]
    assert scene.engine.followed == {"a/b": "d" * 64}


async def test_every_phase_is_reported_with_its_log(scene: Scene) -> None:
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.said(ComposeDone))
    (started,) = scene.said(ComposeStarted)
    assert isinstance(started, ComposeStarted)
    planned = [(one.phase, one.target) for one in started.phases]
    assert planned == [("init", ""), ("gather", "server.amd64"), ("ostree", "server.amd64"), ("upload", "")]
    assert [(one.phase, one.target) for one in scene.said(ComposePhaseStarted)] == planned  # type: ignore[attr-defined]
    assert [one.state for one in scene.said(ComposePhaseDone)] == ["done"] * 4  # type: ignore[attr-defined]
    assert scene.hub.phase_logs[ComposeKey(7, 1), "gather.server.amd64"] == b"gather.server.amd64 begins\n"


async def test_the_heartbeat_says_what_phases_do_now(scene: Scene) -> None:
    scene.engine.hold_at = "gather"
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.engine.ran[-1:] == ["gather.server.amd64"])
    (running,) = scene.composes.for_heartbeat()
    assert (running.compose_id, running.attempt) == (7, 1)
    (phase,) = running.phases
    assert (phase.phase, phase.target, phase.step, phase.done, phase.total) == (
        "gather", "server.amd64", "working", 1, 2,
    )  # fmt: skip


async def test_what_another_owns_is_forgotten(scene: Scene) -> None:
    event = scene.hub.wants(7)
    scene.hub.owners[7] = "other"
    await scene.asked(event)
    assert not len(scene.composes)
    assert not scene.journal.left_over()


async def test_a_hub_that_is_away_keeps_the_call_in_the_queue(scene: Scene) -> None:
    event = scene.hub.wants(7)
    scene.hub.troubles = [DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "away")]
    with pytest.raises(DeborchError, match="away"):
        await scene.asked(event)
    await scene.asked(event)
    await until(lambda: scene.said(ComposeDone))


async def test_calls_beyond_the_room_go_back_one_by_one(scene: Scene) -> None:
    scene.engine.hold_at = "init"
    events = [scene.hub.wants(number) for number in (1, 2, 3)]
    scene.room.look()
    await scene.asked(*events)
    assert [key.compose_id for key in scene.journal.left_over()] == [1]
    assert not scene.room.gate.is_open
    back = [event for event in scene.link.events if isinstance(event.data, ComposeRequested)]
    assert [event.id for event in back] == [event.id for event in events[1:]]
    assert len([message for message in scene.link.messages if message.routing_key == ComposeRequested.TYPE]) == 2


async def test_the_gate_opens_when_a_slot_is_free_again_and_not_while_something_is_wrong(scene: Scene) -> None:
    assert scene.room.look()
    await scene.asked(scene.hub.wants(1))
    assert not scene.room.gate.is_open
    await scene.idle()
    assert scene.room.gate.is_open
    scene.problem = "no root"
    assert not scene.room.look()


async def test_a_cancel_ends_the_engine_and_is_not_reported(scene: Scene) -> None:
    scene.engine.hold_at = "gather"
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.engine.ran[-1:] == ["gather.server.amd64"])
    await scene.told(CancelCompose(compose_id=7, attempt=1))
    await scene.idle()
    assert scene.engine.cancelled == ["gather.server.amd64"]
    assert not scene.said(ComposeDone)
    assert not scene.said(ComposeReleased)
    assert not scene.journal.left_over()
    assert not (scene.work_dir / "7").exists()


async def test_a_cancel_that_is_faster_than_the_grant_is_kept(scene: Scene) -> None:
    await scene.told(CancelCompose(compose_id=7, attempt=1))
    await scene.asked(scene.hub.wants(7))
    assert not scene.engine.ran
    assert not scene.journal.left_over()


async def test_a_cancel_of_another_attempt_changes_nothing(scene: Scene) -> None:
    await scene.told(CancelCompose(compose_id=7, attempt=9))
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.said(ComposeDone))


async def test_a_log_that_the_hub_refuses_ends_what_is_not_ours_any_more(scene: Scene) -> None:
    scene.engine.hold_at = "init"
    scene.hub.over.add(ComposeKey(7, 1))
    await scene.asked(scene.hub.wants(7))
    await scene.idle()
    assert not scene.said(ComposeDone)


async def test_a_failure_of_the_engine_is_reported_with_its_class_and_hint(scene: Scene) -> None:
    scene.engine.failure = DeborchError(
        ErrorCode.INVALID_INPUT, "no such key", hint="mend it", failure_class="treefile"
    )
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.said(ComposeDone))
    (done,) = scene.said(ComposeDone)
    assert isinstance(done, ComposeDone)
    assert (done.outcome, done.failure_class) == ("failed", "treefile")
    assert "mend it" in done.message
    assert not done.outputs


async def test_a_file_that_is_not_what_was_promised_fails_the_compose(scene: Scene) -> None:
    event = scene.hub.wants(7)
    sha256 = scene.hub.orders[7].files[0].sha256
    scene.hub.blobs[sha256] = b"ref: X/b\n"
    await scene.asked(event)
    await until(lambda: scene.said(ComposeDone))
    (done,) = scene.said(ComposeDone)
    assert isinstance(done, ComposeDone)
    assert (done.outcome, done.failure_class) == ("failed", "fetch-fault")


async def test_draining_gives_back_what_does_not_end_in_time(scene: Scene) -> None:
    scene.engine.hold_at = "ostree"
    await scene.asked(scene.hub.wants(7))
    await until(lambda: scene.engine.ran[-1:] == ["ostree.server.amd64"])
    scene.room.drain()
    await scene.composes.drain(0.01)
    await until(lambda: scene.said(ComposeReleased))
    assert not scene.room.look()
    assert not scene.journal.left_over()


async def test_the_next_attempt_waits_for_the_one_that_still_ends_here(scene: Scene) -> None:
    scene.engine.hold_at = "init"
    event = scene.hub.wants(7)
    await scene.asked(event)
    await until(lambda: scene.engine.ran)
    scene.engine.hold_at = None
    scene.hub.owners.clear()
    await scene.told(CancelCompose(compose_id=7, attempt=1, lost=True))
    scene.room._slots = 2
    await scene.asked(event)
    await until(lambda: scene.said(ComposeDone))
    assert scene.engine.cancelled == ["init"]
    assert [done.attempt for done in scene.said(ComposeDone)] == [2]  # type: ignore[attr-defined]


async def test_what_the_daemon_left_when_it_was_killed_is_given_back_once(scene: Scene, tmp_path: Path) -> None:
    scene.journal.add(ComposeKey(7, 1), b"{}")
    scene.journal.add(ComposeKey(8, 2), b"{}")
    done = ComposeDone(compose_id=8, attempt=2, composer=NAME, outcome="finished")
    scene.spool.add([new_event(done, source=f"/composer/{NAME}")])
    (scene.work_dir / "7").mkdir(parents=True)
    recover(NAME, scene.journal, scene.spool, scene.work_dir)
    said = [event.data for _, event in scene.spool.oldest(10)]
    assert [(type(data), data.compose_id) for data in said] == [(ComposeDone, 8), (ComposeReleased, 7)]
    assert not scene.journal.left_over()
    assert not any(scene.work_dir.iterdir())


async def test_a_message_that_is_no_call_goes_to_the_dead_letters(scene: Scene) -> None:
    event = new_event(CancelCompose(compose_id=1, attempt=1), source="/hub")
    with pytest.raises(DeborchError) as refused:
        await scene.asked(event)
    assert refused.value.code is ErrorCode.UNKNOWN_EVENT
    with pytest.raises(DeborchError) as refused:
        await scene.told(ComposeStarted(compose_id=1, attempt=1, composer=NAME, name="x", phases=()))
    assert refused.value.code is ErrorCode.UNKNOWN_EVENT
