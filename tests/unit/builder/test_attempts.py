"""One attempt from start to report: what is done, what is said of a failure, what is left behind."""

import asyncio

import pytest
from tests.unit.builder.conftest import Builder
from tests.unit.builder.fakes import build_task, files_below, noop, until

from deborch_builder.attempt_key import AttemptKey
from deborch_builder.attempts import Ending
from deborch_builder.recovery import recover
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import AssignTask, BuildDone, TaskStarted


async def done_of(builder: Builder) -> BuildDone:
    await until(lambda: builder.reports(BuildDone))
    await until(lambda: not len(builder.attempts))
    (done,) = builder.reports(BuildDone)
    return done


async def test_a_build_downloads_builds_uploads_and_reports(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub, 7))
    done = await done_of(builder)
    assert done.succeeded
    (deb,) = done.artifacts
    assert deb.name == "hello_2.10-3_amd64.deb"
    assert builder.hub.blobs[deb.sha256] == b"a package built from Source: hello\nVersion: 2.10-3\n"
    assert [stage.name for stage in done.stages] == ["download", "build", "upload"]
    assert builder.reports(TaskStarted)


async def test_the_engine_is_asked_for_what_the_assignment_says(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub, 7, attempt=3))
    await done_of(builder)
    (order,) = builder.engine.builds
    assert (order.id, order.suite, order.architecture, order.mode) == ("7-3", "bookworm", "amd64", "any+all")
    assert order.parallel == 1
    assert [one.name for one in order.repositories] == ["bookworm"]


async def test_nothing_is_left_on_disk_after_a_build(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub))
    await done_of(builder)
    assert not files_below(builder.directory)


async def test_the_whole_log_is_at_the_hub_before_the_report(builder: Builder) -> None:
    builder.hub.troubles = [DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "the hub is away")] * 5
    builder.engine.failure = DeborchError(ErrorCode.BUILD_FAILED, "make: *** [all] Error 1")
    lengths_at_report: list[int] = []
    publish = builder.link.publish

    async def spying_publish(publications) -> None:
        if any(one.routing_key == "build.done" for one in publications):
            lengths_at_report.append(len(builder.hub.logs.get(AttemptKey(7, 1), b"")))
        await publish(publications)

    builder.link.publish = spying_publish
    await builder.receive(build_task(builder.hub, 7))
    await done_of(builder)
    log = builder.hub.logs[AttemptKey(7, 1)]
    assert lengths_at_report == [len(log)]
    assert log.startswith(b"dpkg-buildpackage: building\n")
    assert b"deborch-builder: failed (compile): make: *** [all] Error 1" in log


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DeborchError(ErrorCode.BUILD_FAILED, "x"), "compile"),
        (DeborchError(ErrorCode.BUILD_FAILED, "x", failure_class="install"), "install"),
        (DeborchError(ErrorCode.PROCESS_FAILED, "x", failure_class="log-limit"), "log-limit"),
        (DeborchError(ErrorCode.PROCESS_TIMEOUT, "x"), "timeout"),
        (DeborchError(ErrorCode.CHROOT_FAILED, "x"), "chroot-fault"),
        (DeborchError(ErrorCode.DISK_FULL, "x"), "chroot-fault"),
        (DeborchError(ErrorCode.FETCH_FAILED, "x"), "fetch-fault"),
        (DeborchError(ErrorCode.INVALID_SOURCE, "x"), "policy"),
        (DeborchError(ErrorCode.INTERNAL, "x", failure_class="no such class"), "internal"),
        (OSError(28, "No space left on device"), "chroot-fault"),
        (ZeroDivisionError("a bug"), "internal"),
    ],
)
async def test_each_failure_has_its_class(builder: Builder, error, expected) -> None:
    builder.engine.failure = error
    await builder.receive(build_task(builder.hub))
    done = await done_of(builder)
    assert not done.succeeded
    assert done.failure_class == expected
    assert not done.artifacts


async def test_a_builder_whose_key_was_revoked_gives_its_task_back_over_the_bus(builder: Builder) -> None:
    """Heartbeats go on meanwhile and would keep the task's lease for good."""
    builder.engine.hold = True
    task = build_task(builder.hub)
    await builder.receive(task)
    await builder.engine.building.wait()
    builder.hub.troubles = [DeborchError(ErrorCode.UNAUTHENTICATED, "the key was revoked")] * 1000
    done = await done_of(builder)
    assert (done.succeeded, done.failure_class) == (False, "host-lost")
    assert "revoked" in done.message
    assert builder.engine.canceled == 1
    assert not files_below(builder.directory)


async def test_a_dep_wait_names_what_is_missing(builder: Builder) -> None:
    builder.engine.failure = DeborchError(ErrorCode.DEPENDENCY_WAIT, "x", missing=["libfoo-dev (>= 2)", "bar"])
    await builder.receive(build_task(builder.hub))
    done = await done_of(builder)
    assert (done.failure_class, done.missing) == ("dep-wait", ("libfoo-dev (>= 2)", "bar"))


async def test_an_unexpected_error_is_not_shown_to_users_and_is_in_this_hosts_log(builder: Builder, caplog) -> None:
    builder.engine.failure = ZeroDivisionError("secret detail")
    await builder.receive(build_task(builder.hub))
    done = await done_of(builder)
    assert "secret detail" not in done.message
    assert "secret detail" in caplog.text


async def test_a_source_file_that_climbs_out_of_its_directory_is_refused_by_policy(builder: Builder) -> None:
    task = build_task(builder.hub)
    task.payload["files"][0]["name"] = "../../etc/cron.d/evil"
    await builder.receive(task)
    done = await done_of(builder)
    assert done.failure_class == "policy"
    assert not builder.engine.builds


async def test_a_source_file_with_another_digest_is_a_fetch_fault(builder: Builder) -> None:
    task = build_task(builder.hub)
    builder.hub.blobs[task.payload["dsc"]["sha256"]] = b"Source: hello\nVersion: 6.66-6\n"
    await builder.receive(task)
    assert (await done_of(builder)).failure_class == "fetch-fault"


async def test_fetch_source_reports_the_dsc_and_its_files(builder: Builder) -> None:
    payload = {
        "target": "bookworm", "suite": "bookworm", "components": ["main"], "architecture": "amd64", "name": "hello",
        "version": None,
    }  # fmt: skip
    await builder.receive(AssignTask(task_id=1, attempt=1, kind="fetch-source", lease_s=60, payload=payload))
    done = await done_of(builder)
    assert [file.name for file in done.artifacts] == ["hello_2.10-3.dsc", "hello_2.10.orig.tar.gz"]
    assert all(file.sha256 in builder.hub.blobs for file in done.artifacts)


async def test_an_attempt_that_is_not_the_current_one_is_abandoned_without_a_report(builder: Builder) -> None:
    builder.engine.hold = True
    builder.hub.fenced.add(AttemptKey(7, 1))
    await builder.receive(build_task(builder.hub, 7))
    await until(lambda: builder.engine.canceled)
    await until(lambda: not len(builder.attempts))
    assert not builder.reports(BuildDone)
    assert not files_below(builder.directory)


async def test_an_attempt_that_is_cancelled_before_its_first_step_leaves_nothing(builder: Builder) -> None:
    task = build_task(builder.hub, 7)
    builder.journal.add([task])
    builder.attempts.start(task)
    builder.attempts.end(AttemptKey(7, 1), Ending.CANCELED)
    await until(lambda: not len(builder.attempts))
    assert not files_below(builder.directory)


async def test_heartbeats_name_the_attempt_and_its_stage(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub, 7, attempt=2))
    await builder.engine.building.wait()
    (running,) = builder.attempts.for_heartbeat()
    assert (running.task_id, running.attempt, running.stage) == (7, 2, "build")


async def test_heartbeats_say_what_the_stage_has_used_up_to_now(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub, 7))
    await builder.engine.building.wait()
    (running,) = builder.attempts.for_heartbeat()
    assert running.progress is not None
    assert (running.progress.cpu_s, running.progress.memory_bytes) == (1.25, 1 << 20)
    assert running.progress.log_bytes == len(b"dpkg-buildpackage: building\n")


async def test_a_drain_waits_for_what_runs(builder: Builder) -> None:
    await builder.receive(build_task(builder.hub))
    await builder.attempts.drain(5)
    assert builder.reports(BuildDone)[0].succeeded


async def test_what_outlasts_the_drain_is_given_back_as_lost_with_the_host(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub))
    await builder.engine.building.wait()
    await builder.attempts.drain(0.05)
    (done,) = builder.reports(BuildDone)
    assert done.failure_class == "host-lost"
    assert builder.engine.canceled == 1
    assert not files_below(builder.directory)


async def test_a_cancel_during_the_drain_still_reports_nothing(builder: Builder) -> None:
    builder.engine.hold = True
    await builder.receive(build_task(builder.hub, 7))
    await builder.engine.building.wait()
    builder.attempts.end(AttemptKey(7, 1), Ending.CANCELED)
    await builder.attempts.drain(1)
    assert not builder.reports(BuildDone)


async def test_what_ran_when_the_daemon_died_is_given_back_at_the_next_start(tmp_path) -> None:
    died = Builder(tmp_path)
    died.start()
    died.engine.hold = True
    await died.receive(build_task(died.hub, 7), noop(8))
    await died.engine.building.wait()
    await died.stop()
    assert files_below(tmp_path / "work")

    again = Builder(tmp_path)
    keys = recover("b1", again.journal, again.spool, again.work_dir)
    again.commands.remember(keys)
    again.start()
    assert await again.reporter.flushed(2)
    (lost,) = again.reports(BuildDone)
    assert (lost.task_id, lost.failure_class) == (7, "host-lost")
    await again.receive(build_task(again.hub, 7))
    await again.stop()
    assert not again.engine.builds
    assert not files_below(tmp_path)


async def test_an_attempt_that_was_reported_into_the_spool_is_not_given_back(tmp_path) -> None:
    died = Builder(tmp_path)
    died.link.connected = False
    died.start()
    task = build_task(died.hub, 7)
    await died.receive(task)
    await until(lambda: len(died.spool) == 2 and not len(died.attempts))
    await died.stop()
    died.journal.add([task])

    again = Builder(tmp_path)
    recover("b1", again.journal, again.spool, again.work_dir)
    again.start()
    assert await again.reporter.flushed(2)
    await again.stop()
    (done,) = again.reports(BuildDone)
    assert done.succeeded


async def test_a_report_that_fails_to_be_kept_keeps_the_attempt_in_the_journal(builder: Builder) -> None:
    builder.link.may_confirm.clear()
    await asyncio.wait([asyncio.create_task(builder.receive(build_task(builder.hub, 7)))], timeout=0.5)
    await until(lambda: builder.engine.builds)
    await asyncio.sleep(0.4)
    assert files_below(builder.directory / "assignments") == ["7-1.json"]
    builder.link.may_confirm.set()
    await done_of(builder)
