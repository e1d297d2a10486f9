"""Builds with real namespaces, real apt and a real base: what comes out, and what does not stay."""

import asyncio
import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import processes_of, what_is_left

from deb_mock.model import ArtifactKind, Stage
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

OURS = (ArtifactKind.LOG, ArtifactKind.REPORT)
NEVER_ENDS = "echo compiling; sleep 1000"


async def fails(engine, request, log):
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert not request.result_dir.exists()
    return caught.value


async def started(engine, request, log):
    """A build as a task that has come to its rules."""
    task = asyncio.create_task(engine.build(request, on_log=log.extend))
    while b"\ncompiling" not in log:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.02)
    return task


async def test_a_build_gives_packages_changes_buildinfo_and_log_with_true_hashes(engine, request_for, log):
    request = request_for()
    stages = []
    result = await engine.build(request, on_log=log.extend, on_stage=lambda stage, _: stages.append(stage))

    by_kind = {artifact.kind: artifact for artifact in result.artifacts}
    assert set(by_kind) == {ArtifactKind.DEB, ArtifactKind.CHANGES, ArtifactKind.BUILDINFO, *OURS}
    for artifact in result.artifacts:
        content = artifact.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        assert len(content) == artifact.size_bytes
    assert sorted(path.name for path in request.result_dir.iterdir()) == sorted(a.name for a in result.artifacts)
    listed = await process.run(["dpkg-deb", "-c", str(by_kind[ArtifactKind.DEB].path)])
    assert b"./usr/share/tiny/file" in listed.output
    assert stages == [stage for stage in Stage if stage is not Stage.CHECK]
    assert [time.stage for time in result.stages] == stages
    assert by_kind[ArtifactKind.LOG].path.read_bytes() in bytes(log)


async def test_nothing_is_left_after_a_build(engine, request_for, log, config, tmp_path):
    await engine.build(request_for(), on_log=log.extend)
    assert what_is_left(config.state_dir) == []
    assert {path.name for path in tmp_path.iterdir()} == {"source", "results", "state"}


async def test_the_build_runs_as_an_unprivileged_user_that_is_nobody_on_the_host(engine, request_for, log):
    request = request_for("id -u\ncat /proc/self/uid_map\ngrep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status\nenv")
    await engine.build(request, on_log=log.extend)
    text = log.decode()
    assert "\n59000\n" in text
    assert "CapEff:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
    assert "\nHOME=/nonexistent\n" in text
    assert "DEBORCH" not in text.partition("CapEff")[2]


async def test_the_build_cannot_change_anything_outside_its_workspace(engine, request_for, log):
    body = "for f in /etc/evil /usr/bin/evil /evil /proc/sys/kernel/hostname; do ! echo x 2>/dev/null > $f; done"
    request = request_for(body + "\necho x > /tmp/allowed")
    base = await engine.ensure_base(request.suite, request.architecture, on_log=log.extend)
    await engine.build(request, on_log=log.extend)
    assert not (base.root / "tmp" / "allowed").exists()
    assert not (base.root / "etc" / "evil").exists()


async def test_the_build_has_a_loopback_and_no_other_network(engine, request_for, log):
    body = "tail -n +3 /proc/net/dev\n! getent hosts example.org\ntest $(tail -n +3 /proc/net/dev | wc -l) = 1"
    await engine.build(request_for(body), on_log=log.extend)


async def test_daemons_that_a_build_leaves_die_with_it(engine, request_for, log, config):
    body = "setsid sh -c 'sleep 1000' >/dev/null 2>&1 &\nsetsid sleep 1000 &"
    begun = time.monotonic()
    await engine.build(request_for(body), on_log=log.extend)
    assert time.monotonic() - begun < 60
    assert processes_of(config.state_dir) == []


async def test_rules_that_fail_are_a_compile_failure(engine, request_for, log):
    error = await fails(engine, request_for("echo the reason; false"), log)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.BUILD_FAILED, "compile")
    assert b"the reason" in log


async def test_rules_that_kill_their_own_group_are_reported_as_killed(engine, request_for, log):
    error = await fails(engine, request_for("kill -9 0; true"), log)
    assert error.fields["failure_class"] == "killed"


async def test_rules_that_try_to_kill_everything_end_only_themselves(engine, request_for, log):
    error = await fails(engine, request_for("kill -9 -1; true"), log)
    assert error.fields["failure_class"] in ("killed", "compile")


async def test_too_long_a_build_is_ended(engine, request_for, log, config):
    error = await fails(engine, request_for(NEVER_ENDS, timeout_s=5), log)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.PROCESS_TIMEOUT, "timeout")
    assert what_is_left(config.state_dir) == []


async def test_too_long_a_log_ends_the_build(engine, request_for, log):
    error = await fails(engine, request_for("yes flood", log_limit_bytes=1_000_000), log)
    assert error.fields["failure_class"] == "log-limit"
    assert len(log) < 3_000_000


async def test_missing_build_dependencies_are_named(engine, request_for, log):
    depends = "no-such-package-a, debhelper (>= 9999), no-such-package-b [linux-any], make"
    error = await fails(engine, request_for(build_depends=depends), log)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DEPENDENCY_WAIT, "dep-wait")
    assert error.fields["missing"] == ["no-such-package-a", "debhelper (>= 9999)", "no-such-package-b"]


async def test_cancelling_ends_everything_within_a_second(engine, request_for, log, config):
    request = request_for(NEVER_ENDS)
    task = await started(engine, request, log)
    assert processes_of(config.state_dir)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 1
    assert what_is_left(config.state_dir) == []
    assert not request.result_dir.exists()


async def test_closing_the_engine_ends_its_builds(engine, request_for, log, config):
    task = await started(engine, request_for(NEVER_ENDS), log)
    await engine.close()
    assert task.cancelled()
    assert what_is_left(config.state_dir) == []


async def test_a_changed_tarball_is_refused_before_anything_runs(engine, request_for, log):
    request = request_for()
    tarball = next(request.source_dir.glob("*.tar.*"))
    tarball.write_bytes(tarball.read_bytes()[:-1] + b"x")
    error = await fails(engine, request, log)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DIGEST_MISMATCH, "policy")
    assert tarball.name in error.message


async def test_a_result_directory_with_something_in_it_is_not_touched(engine, request_for, log):
    request = request_for()
    request.result_dir.mkdir()
    (request.result_dir / "mine").write_text("keep")
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert caught.value.code is ErrorCode.ALREADY_EXISTS
    assert [path.name for path in request.result_dir.iterdir()] == ["mine"]


async def test_two_builds_at_once_do_not_see_each_other(engine, request_for, log, tmp_path):
    request = request_for("sleep 1; test $(ls -d /proc/[0-9]* | wc -l) -lt 20")
    requests = [replace(request, build_id=f"twin-{n}", result_dir=tmp_path / f"twin-{n}") for n in range(2)]
    results = await asyncio.gather(*(engine.build(each, on_log=log.extend) for each in requests))
    assert all(result.artifacts for result in results)


OWNER = """
import asyncio, sys
from pathlib import Path
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.model import BuildRequest
dsc, state, cache, suite, architecture = sys.argv[1:]
config = EngineConfig(state_dir=Path(state), cache_dir=Path(cache), tmpfs_bytes=256 << 20)
request = BuildRequest("killed", Path(dsc), Path(dsc).parent, suite, architecture, Path(state).parent / "results")
asyncio.run(Engine(config).build(request, on_log=lambda chunk: (sys.stdout.buffer.write(chunk), sys.stdout.flush())))
"""


async def test_after_kill_9_nothing_runs_or_is_mounted_and_the_next_start_removes_the_rest(
    engine, request_for, log, config, tmp_path
):
    request = request_for(NEVER_ENDS)
    await engine.ensure_base(request.suite, request.architecture, on_log=log.extend)
    arguments = [request.dsc, config.state_dir, config.cache_dir, request.suite, request.architecture]
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    while (await owner.stdout.readline()).strip() != b"compiling":
        assert owner.returncode is None
    assert processes_of(config.state_dir)
    owner.kill()
    await owner.communicate()
    begun = time.monotonic()
    while processes_of(config.state_dir):
        assert time.monotonic() - begun < 2, "processes of the killed build still run"
        await asyncio.sleep(0.05)
    assert str(config.state_dir) not in Path("/proc/self/mountinfo").read_text()

    recovered = await engine.recover()
    assert [name.startswith("killed-") for name in recovered.sandboxes] == [True, True]
    assert what_is_left(config.state_dir) == []
    assert {path.name for path in tmp_path.iterdir()} == {"source", "state"}
    assert (await engine.recover()).sandboxes == ()
