"""Builds that want more than they may have: ended cleanly, each with a class of its own; and what builds used."""

from dataclasses import replace

import pytest

from deb_mock.engine import Engine
from deb_mock.engine_config import Scratch
from deb_mock.model import Stage
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.cgroups.hierarchies import find
from deborch_shared.sandbox.spec import Limits

needs_limits = pytest.mark.skipif(
    not {"memory", "pids"} <= set(find().usable), reason="needs cgroup controllers that this host does not give"
)
EATS_MEMORY = "perl -e '$$x = \"x\" x (1 << 30); print length $$x'".replace("$$", "$")
FORKS = "perl -e 'fork while 1'"


@pytest.fixture
def config(config):
    return replace(config, scratch=Scratch.TMPFS)


async def fails(engine, request, log):
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert not request.result_dir.exists()
    return caught.value


@needs_limits
@pytest.mark.parametrize(
    ("body", "limits", "met"),
    [
        (EATS_MEMORY, Limits(memory_bytes=400 << 20), ("killed-oom", "memory")),
        (FORKS, Limits(pids=200), ("killed-limit", "pids")),
        ("head -c 400M /dev/zero > big", None, ("killed-limit", "disk")),
    ],
    ids=["memory", "processes", "files"],
)
async def test_a_build_that_wants_too_much_is_ended_with_the_limit_it_met(engine, request_for, log, body, limits, met):
    error = await fails(engine, replace(request_for(body), limits=limits), log)
    assert error.code is ErrorCode.BUILD_FAILED
    assert (error.fields["failure_class"], error.fields["limit"]) == met
    assert error.hint


async def test_a_build_that_is_silent_for_too_long_is_ended(engine, request_for, log):
    error = await fails(engine, replace(request_for("echo last words; sleep 1000"), log_idle_s=3), log)
    assert error.fields["failure_class"] == "log-idle"
    assert b"last words" in log


@needs_limits
async def test_stages_and_samples_say_what_was_used(engine, request_for, log):
    samples = []
    body = "perl -e '$e = time + 2; 1 while time < $e'; head -c 50M /dev/zero > ../big"
    result = await engine.build(request_for(body), on_log=log.extend, on_sample=lambda *sample: samples.append(sample))
    used = {time.stage: time for time in result.stages}[Stage.BUILD]
    assert used.cpu_s > 1
    assert used.use.cpu_s == used.cpu_s
    assert used.use.memory_peak_bytes > 50 << 20
    assert used.use.disk_bytes > 50 << 20
    assert used.use.pids_peak > 2
    assert {stage for stage, _ in samples} >= {Stage.BUILD}
    assert max(use.pids for _, use in samples) > 2


async def test_the_network_is_for_builds_only_if_the_policy_says_so_and_the_log_tells(engine, request_for, log, config):
    request = replace(request_for("test $(tail -n +3 /proc/net/dev | wc -l) -gt 1"), network=True)
    error = await fails(engine, request, log)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.INVALID_INPUT, "policy")
    assert b"network is allowed" not in log
    await Engine(replace(config, network_allowed=True)).build(request, on_log=log.extend)
    assert b"the network is allowed for this build" in log


async def test_the_space_that_a_build_takes_is_counted_on_a_disk_too(request_for, log, config):
    engine = Engine(replace(config, scratch=Scratch.DISK))
    result = await engine.build(request_for("head -c 20M /dev/zero > ../big"), on_log=log.extend)
    assert {time.stage: time.use.disk_bytes or 0 for time in result.stages}[Stage.BUILD] > 20 << 20
