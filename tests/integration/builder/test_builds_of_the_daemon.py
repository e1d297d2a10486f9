"""The daemon's process with the real engine: what a build uses is told, a cancel is quick, a kill leaves nothing."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.builder.conftest import Scene
from tests.integration.deb_mock.conftest import native_architecture, needs_root, what_is_left
from tests.integration.deb_mock.test_builds_in_a_row import groups
from tests.integration.deb_mock.tiny_source import make_source

from deborch_shared.apt.host import host_codename, proxies_of
from deborch_shared.events.model import AssignTask, BuildDone, CancelTask, HostHeartbeat

pytestmark = [pytest.mark.root, needs_root]
CANCELED_WITHIN_S = 2.0


@pytest.fixture
def state_dir(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the daemon's buildroots; its bases are those of all tests."""
    default = Path.home() / ".cache" / "deborch-tests"
    cache_dir = Path(os.environ.get("DEBORCH_TEST_CACHE", default)) / "deb-mock"
    known = scene.environment() | dict(proxies_of(os.environ))
    known |= {"DEBORCH_BUILDER_CACHE_DIR": str(cache_dir), "DEBORCH_BUILDER_DISK_FLOOR_BYTES": "0"}
    monkeypatch.setattr(scene, "environment", lambda: known)
    return scene.data_dir / "mock" / "state"


def order(scene: Scene, directory: Path, task_id: int) -> AssignTask:
    """A build that computes, holds memory, and then does nothing for long."""
    body = "echo compiling; head -c 64M /dev/zero > /build/held; setsid sleep 1000 & sleep 1000"
    files = [make_source(directory, body=body), *directory.glob("*.tar.*")]
    named = [
        {"name": file.name, "sha256": scene.hub.keep(file.read_bytes()), "size_bytes": file.stat().st_size}
        for file in files
    ]
    payload = {
        "target": "mine", "suite": host_codename(), "components": ["main"], "architecture": native_architecture(),
        "mode": "any", "dsc": named[0], "files": named[1:],
    }  # fmt: skip
    return AssignTask(task_id=task_id, attempt=1, kind="build-package", lease_s=60, payload=payload)


@asynccontextmanager
async def building(scene: Scene, task: AssignTask) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, while `task` is in its build proper and that has been measured."""
    async with scene.process() as process:
        await scene.until(lambda: scene.said(HostHeartbeat))
        await scene.command(task)

        def measured() -> bool:
            running = [one for beat in scene.said(HostHeartbeat)[-1:] for one in beat.running]
            return bool(running and running[0].stage == "build" and running[0].progress.stage_s > 1.5)

        await scene.until(measured, within_s=120)
        yield process


def left_of(state_dir: Path, task: AssignTask) -> list[str]:
    return [*what_is_left(state_dir), *(name for name in groups() if name.startswith(f"deborch-{task.task_id}-"))]


async def test_a_build_is_measured_while_it_runs_and_gone_within_two_seconds_of_a_cancel(
    scene: Scene, state_dir: Path, tmp_path: Path
) -> None:
    task = order(scene, tmp_path, 71)
    async with building(scene, task):
        (running,) = scene.said(HostHeartbeat)[-1].running
        assert running.progress.log_bytes > 0
        assert f"env:{host_codename()}" in scene.hub.hosts[-1]["tags"]
        begun_s = time.monotonic()
        await scene.command(CancelTask(task_id=71, attempt=1))
        await scene.until(lambda: not left_of(state_dir, task), within_s=CANCELED_WITHIN_S)
        assert time.monotonic() - begun_s < CANCELED_WITHIN_S
        await scene.until(lambda: not scene.said(HostHeartbeat)[-1].running)
    assert not scene.said(BuildDone)


async def test_a_killed_daemon_leaves_a_build_that_the_next_one_removes_and_gives_back(
    scene: Scene, state_dir: Path, tmp_path: Path
) -> None:
    task = order(scene, tmp_path, 72)
    async with building(scene, task) as process:
        process.kill()
        await process.wait()
    assert left_of(state_dir, task)
    async with scene.process():
        await scene.until(lambda: scene.said(BuildDone), within_s=30)
        await scene.until(lambda: not left_of(state_dir, task), within_s=10)
    (lost,) = scene.said(BuildDone)
    assert (lost.task_id, lost.failure_class) == (72, "host-lost")
    assert not list((scene.data_dir / "work").iterdir())
