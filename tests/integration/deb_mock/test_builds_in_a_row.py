"""Many in a row, and many killed: nothing grows. A benchmark asks for more of them by the environment."""

import asyncio
import os
import random
import shutil
import sys
import time
from pathlib import Path

from tests.integration.deb_mock.conftest import processes_of, what_is_left
from tests.integration.deb_mock.test_builds_of_a_tiny_source import OWNER

from deb_mock.buildroots.buildroot import Buildroots
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.cgroups.hierarchies import find

IN_A_ROW = int(os.environ.get("DEBORCH_BUILDROOTS_IN_A_ROW", "20"))
KILLS = int(os.environ.get("DEBORCH_OWNERS_KILLED", "8"))
WARM_UP = 5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GROWTH_BYTES = 8 << 20
"""Of our own memory: what an allocator may keep, over any number of buildroots."""


def groups():
    return [
        path.name
        for tree in (*find().usable.values(), find().unified)
        if tree
        for path in tree.parent.glob("deborch-*")
    ]


def held(state_dir):
    """What a buildroot could leave, counted."""
    return {
        "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "left": what_is_left(state_dir),
        "groups": [name for name in groups() if "-in-a-row-" in name],
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
    }


def memory_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


async def test_buildroots_in_a_row_leave_nothing(engine, request_for, log, config):
    request = request_for()
    base = await engine.ensure_base(request.suite, request.architecture, on_log=log.extend)
    buildroots = Buildroots(config)
    await buildroots.probe(base, log.extend)

    async def one():
        async with open_sandbox(buildroots.spec("in-a-row", base)) as sandbox:
            await sandbox.run(["/bin/sh", "-c", "setsid sleep 1000 & echo x > /build/file"])

    for _ in range(WARM_UP):
        await one()
    before, memory_before_bytes = held(config.state_dir), memory_bytes()
    for _ in range(IN_A_ROW):
        await one()
    assert held(config.state_dir) == before
    assert before["left"] == before["groups"] == []
    assert memory_bytes() - memory_before_bytes < GROWTH_BYTES


async def test_owners_killed_at_any_moment_leave_nothing_that_recovery_does_not_remove(
    engine, request_for, log, config, tmp_path
):
    request = request_for("echo compiling; sleep 0.5")
    await engine.ensure_base(request.suite, request.architecture, on_log=log.extend)
    arguments = [request.dsc, config.state_dir, config.cache_dir, request.suite, request.architecture]
    moments = random.Random(3)
    for _ in range(KILLS):
        owner = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OWNER, *map(str, arguments), stdout=asyncio.subprocess.DEVNULL
        )
        await asyncio.sleep(moments.uniform(0.4, 3.0))
        if owner.returncode is None:
            owner.kill()
        await owner.wait()
        begun_s = time.monotonic()
        while processes_of(config.state_dir):
            assert time.monotonic() - begun_s < 5, "processes of the killed build still run"
            await asyncio.sleep(0.05)
        await engine.recover()
        assert what_is_left(config.state_dir) == []
        assert [name for name in groups() if name.startswith("deborch-killed-")] == []
        assert {path.name for path in tmp_path.iterdir()} <= {"source", "state", "results"}
        shutil.rmtree(request.result_dir, ignore_errors=True)
    await engine.build(request, on_log=log.extend)
