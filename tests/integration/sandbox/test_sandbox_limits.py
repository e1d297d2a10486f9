"""Control groups of sandboxes on this host: limits hold, use is counted, and nothing of them stays."""

import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.cgroups.group import ControlGroup, remove_groups
from deborch_shared.sandbox.cgroups.hierarchies import find
from deborch_shared.sandbox.record import records
from deborch_shared.sandbox.spec import IdRange, Limits

FOUND = find()
BUSY = "perl -e '1 while (times)[0] < 0.3'"
EATS = 'perl -e \'$x = "x" x (200 << 20); print "whole"\''


def needs(controllers):
    lacking = [name for name in controllers.split() if name not in FOUND.usable]
    return pytest.mark.skipif(bool(lacking), reason=f"this host gives no {lacking} to limit")


@pytest.fixture
def ids():
    return IdRange(first=1_700_000_000)


async def used(spec, script, limits):
    async with open_sandbox(replace(spec, limits=limits)) as sandbox:
        with sandbox.meter() as meter:
            result = await sandbox.run(["/bin/sh", "-c", script], check=False, timeout_s=30)
            return result, meter.read()


@needs("cpu")
async def test_cpu_time_is_rationed(spec):
    begun_s = time.monotonic()
    result, use = await used(spec, BUSY, Limits(cpus=0.25))
    assert result.returncode == 0
    assert use.cpu_s > 0.25
    assert time.monotonic() - begun_s > 0.9


@needs("memory")
async def test_memory_is_rationed_and_the_sandbox_lives_on(spec):
    async with open_sandbox(replace(spec, limits=Limits(memory_bytes=100 << 20))) as sandbox:
        with sandbox.meter() as meter:
            result = await sandbox.run(["/bin/sh", "-c", EATS], check=False)
            use = meter.read()
        assert result.returncode != 0
        assert use.oom_kills >= 1
        assert use.memory_peak_bytes <= 101 << 20
        with sandbox.meter() as meter:
            assert (await sandbox.run(["/bin/echo", "still here"])).output == b"still here\n"
            assert meter.read().oom_kills == 0
            assert meter.read().memory_peak_bytes < 90 << 20


@needs("memory pids")
async def test_what_is_used_is_counted_from_the_making_of_the_meter(spec):
    async with open_sandbox(spec) as sandbox:
        await sandbox.run(["/bin/sh", "-c", BUSY])
        with sandbox.meter() as meter:
            await sandbox.run(["/bin/sh", "-c", "head -c 30M /dev/zero > /build/file"])
            use = meter.read()
    assert use.cpu_s < 0.25
    assert 30 << 20 <= use.disk_bytes < 40 << 20
    assert use.memory_peak_bytes > 30 << 20
    assert (use.oom_kills, use.forks_refused) == (0, 0)


async def test_bytes_that_go_to_the_disk_are_counted(spec):
    on_disk = replace(spec, scratch_bytes=None)
    _, use = await used(on_disk, "head -c 8M /dev/zero > /build/file; sync", Limits())
    assert use.written_bytes >= 8 << 20
    assert use.disk_bytes is None


async def test_groups_are_recorded_and_gone_at_the_end(spec):
    async with open_sandbox(spec):
        (entry,) = records(spec.directory.parent)
        assert all(Path(path).is_dir() for path in entry.groups)
    assert not any(Path(path).exists() for path in entry.groups)


@pytest.mark.skipif(not FOUND.usable, reason="this host has no control groups")
async def test_whoever_is_left_in_a_group_is_ended_with_it():
    group = ControlGroup("left", Limits(), FOUND)
    group.create(Path("/").stat().st_dev)
    try:
        left = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(1000)")
        group.add(left.pid)
    finally:
        await remove_groups(group.paths)
    assert await left.wait() == -signal.SIGKILL
    assert not any(path.exists() for path in group.paths)
