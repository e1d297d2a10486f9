"""However a sandbox ends, nothing of it stays."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.record import records, recover

FORKS = "for i in 1 2 3; do setsid sleep 1000 & done; sleep 1000"


def left(state_dir: Path) -> list[str]:
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(state_dir) in line]
    return mounts + [str(path) for path in state_dir.rglob("*")] + processes(state_dir)


def processes(state_dir: Path) -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if str(state_dir) in (directory / "mountinfo").read_text():
                found.append(directory.name)
        except OSError:
            continue
    return found


async def wait_for(condition):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < 5, "took too long"
        await asyncio.sleep(0.02)


async def test_nothing_stays_after_a_normal_end(spec):
    async with open_sandbox(spec) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "setsid sleep 1000 &"])
    assert left(spec.directory.parent) == []


async def test_nothing_stays_after_a_timeout(spec):
    async with open_sandbox(spec) as sandbox:
        begun = time.monotonic()
        with pytest.raises(DeborchError) as caught:
            await sandbox.run(["/bin/sh", "-c", f"trap '' TERM; {FORKS}"], timeout_s=0.5)
        assert time.monotonic() - begun < 2
        assert caught.value.code is ErrorCode.PROCESS_TIMEOUT
        assert (await sandbox.run(["/bin/sh", "-c", "echo /proc/[0-9]*"])).output == b"/proc/1 /proc/2\n"
    assert left(spec.directory.parent) == []


async def test_nothing_stays_after_cancellation(spec):
    running = asyncio.Event()

    async def work():
        async with open_sandbox(spec) as sandbox:
            await sandbox.run(["/bin/sh", "-c", f"echo up; {FORKS}"], on_output=lambda _: running.set())

    task = asyncio.create_task(work())
    await running.wait()
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 1
    assert left(spec.directory.parent) == []


async def test_cancels_while_it_is_taken_down_leave_nothing(spec):
    emptied = asyncio.Event()

    async def work():
        async with open_sandbox(replace(spec, scratch_bytes=None)) as sandbox:
            await sandbox.run(["/bin/sh", "-c", "mkdir -p /build/a/b && cd /build/a/b && seq 10000 | xargs touch"])
            emptied.set()

    task = asyncio.create_task(work())
    await emptied.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.001)
    assert task.cancelled()
    assert left(spec.directory.parent) == []


async def test_cancellation_while_it_opens_leaves_nothing(spec):
    for delay_s in (0, 0.005, 0.02, 0.04, 0.06):

        async def work():
            async with open_sandbox(spec):
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert left(spec.directory.parent) == []


async def test_a_killed_keeper_is_an_error_for_its_owner_and_leaves_nothing(spec):
    async with open_sandbox(spec) as sandbox:
        task = asyncio.create_task(sandbox.run(["/bin/sh", "-c", FORKS]))
        await wait_for(lambda: len(processes(spec.directory.parent)) > 5)
        os.kill(sandbox.keeper_pid, signal.SIGKILL)
        with pytest.raises(DeborchError) as caught:
            await task
        assert caught.value.code is ErrorCode.SANDBOX_FAILED
        with pytest.raises(DeborchError):
            await sandbox.run(["/bin/true"])
    await wait_for(lambda: not processes(spec.directory.parent))
    assert left(spec.directory.parent) == []


async def test_a_root_that_cannot_be_assembled_says_why_and_leaves_nothing(spec, tmp_path):
    broken = type(spec.lowers[0])(tmp_path / "missing", map_ids=False)
    with pytest.raises(DeborchError) as caught:
        async with open_sandbox(type(spec)(directory=spec.directory, lowers=(broken,))):
            pass
    assert caught.value.code is ErrorCode.SANDBOX_FAILED
    assert "overlay" in caught.value.message
    assert left(spec.directory.parent) == []


async def test_a_name_in_use_is_refused(spec):
    async with open_sandbox(spec):
        with pytest.raises(DeborchError) as caught:
            async with open_sandbox(spec):
                pass
        assert caught.value.code is ErrorCode.ALREADY_EXISTS
        assert [entry.name for entry in records(spec.directory.parent)] == ["box"]


OWNER = """
import asyncio, sys
from pathlib import Path
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Bind, IdRange, Lower, SandboxSpec
directory, lower, upper, first = sys.argv[1:]
spec = SandboxSpec(Path(directory), (Lower(Path(lower), True),), upper=Path(upper), binds=(Bind(Path("/usr"), "/usr"),),
                   ids=IdRange(int(first)) if int(first) else None)
async def main():
    async with open_sandbox(spec) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "echo up; setsid sleep 1000 & sleep 1000"],
                          on_output=lambda chunk: print(chunk.decode(), end="", flush=True))
asyncio.run(main())
"""


async def test_kill_9_of_the_owner_ends_everything_and_recover_removes_the_rest_once(spec, ids, lower, tmp_path):
    state_dir, upper = spec.directory.parent, tmp_path / "upper"
    arguments = map(str, (spec.directory, lower, upper, ids.first if ids else 0))
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"up\n"
    assert await recover(state_dir) == [], "a living owner is left alone"
    owner.kill()
    await owner.communicate()
    await wait_for(lambda: not processes(state_dir))
    assert str(state_dir) not in Path("/proc/self/mountinfo").read_text()
    assert upper.exists()
    assert [entry.name for entry in await recover(state_dir)] == ["box"]
    assert left(state_dir) == []
    assert not upper.exists()
    assert await recover(state_dir) == []
