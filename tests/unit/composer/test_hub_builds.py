"""Builds that a compose needs are ordered once, waited for by events, and ended with the compose."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.builder.fakes import FakeClock, until
from tests.unit.composer.fakes import FakeHub

from deborch_composer.hub_builds import BuildEvents, HubBuilds, Wish
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Artifact, BuildCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import new_event
from deborch_shared.events.model import BuildCompleted, BuildFailed
from deborch_shared.worker.transfers import Transfers

HELLO = Wish("trixie", "hello", "2.10-3")
MOMENT = "2030-01-01T00:00:00Z"


class FakeApi:
    """The hub's API of builds, in a dictionary."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        self.builds: dict[int, dict[str, Any]] = {}
        self.orders: dict[str, int] = {}
        self.bodies: list[BuildCreate] = []
        self.cancelled: list[str] = []
        self.looks = 0
        self.debs = {"hello_2.10-3_amd64.deb": b"a deb"}

    def add(self, state: str, *, version: str = "2.10-3") -> int:
        number = len(self.builds) + 1
        self.builds[number] = {
            "id": number, "target": "trixie", "source": "hello", "version": version, "state": state, "scratch": False,
            "owner": "host:c1", "priority": 0, "message": "", "created_at": MOMENT, "ended_at": None, "tasks": [],
            "source_files": [],
        }  # fmt: skip
        return number

    async def post(self, _: str, model: type[BaseModel], body: BuildCreate, *, idempotency_key: str) -> BaseModel:
        if idempotency_key not in self.orders:
            self.bodies.append(body)
            self.orders[idempotency_key] = self.add("building", version="2.10-3")
        return model.model_validate(self.builds[self.orders[idempotency_key]])

    async def get(self, path: str, model: type[BaseModel], *, params: Mapping[str, str] | None = None) -> BaseModel:
        if path == "/api/v1/builds":
            items = [build for build in self.builds.values() if build["state"] == (params or {})["state"]]
            return model.model_validate({"items": items})
        if path == "/api/v1/artifacts":
            files = [(name, "deb", self.hub.keep(content)) for name, content in self.debs.items()]
            files.append(("hello_2.10-3_amd64.changes", "changes", "0" * 64))
            items = [
                Artifact(id=1, build_id=1, task_id=1, name=name, kind=kind, sha256=sha256, size_bytes=5)
                for name, kind, sha256 in files
            ]
            return Page[Artifact](items=items)
        self.looks += 1
        return model.model_validate(self.builds[int(path.rpartition("/")[2])])

    async def call(self, method: str, path: str) -> bytes:
        self.cancelled.append(f"{method} {path}")
        return b"{}"


class Scene:
    def __init__(self, directory: Path) -> None:
        self.hub, self.events = FakeHub(), BuildEvents()
        self.api = FakeApi(self.hub)
        self.results = directory / "results"
        self.results.mkdir()
        self.builds = HubBuilds(self.api, Transfers(self.hub, FakeClock()), self.events, FakeClock())  # type: ignore[arg-type]

    def start(self, *wishes: Wish, timeout_s: float = 60) -> "asyncio.Task[None]":
        work = self.builds.build(
            wishes or (HELLO,), "amd64", "minimal-1", self.results, lambda _: None, timeout_s=timeout_s
        )
        return asyncio.create_task(work)

    async def end(self, build_id: int, state: str) -> None:
        self.api.builds[build_id]["state"] = state
        kind = BuildCompleted if state == "completed" else BuildFailed
        await self.events.take([new_event(kind(build_id=build_id, target="trixie", source="hello"), source="/hub")])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_build_is_ordered_waited_for_by_its_event_and_its_debs_fetched(scene: Scene) -> None:
    work = scene.start()
    await until(lambda: scene.api.looks == 1)
    await asyncio.sleep(0.05)
    assert scene.api.looks == 1
    await scene.end(1, "completed")
    await work
    assert [path.name for path in scene.results.iterdir()] == ["hello_2.10-3_amd64.deb"]
    (body,) = scene.api.bodies
    assert (body.target, body.architectures, body.scratch) == ("trixie", ("amd64",), False)
    assert body.suite_source is not None
    assert (body.suite_source.name, body.suite_source.version) == ("hello", "2.10-3")


async def test_what_is_built_already_in_that_version_is_taken(scene: Scene) -> None:
    scene.api.add("completed", version="2.10-1")
    scene.api.add("completed")
    await scene.start()
    assert not scene.api.bodies
    assert list(scene.results.iterdir())


async def test_a_resumed_compose_finds_the_build_that_it_has_ordered(scene: Scene) -> None:
    first = scene.start()
    await until(lambda: scene.api.looks == 1)
    first.cancel()
    await asyncio.wait([first])
    second = scene.start()
    await until(lambda: scene.api.looks == 2)
    await scene.end(1, "completed")
    await second
    assert len(scene.api.bodies) == 1


async def test_a_build_that_failed_is_ordered_anew_by_the_next_try(scene: Scene) -> None:
    work = scene.start()
    await until(lambda: scene.api.looks == 1)
    await scene.end(1, "failed")
    with pytest.raises(DeborchError) as failed:
        await work
    assert failed.value.code is ErrorCode.BUILD_FAILED
    assert failed.value.fields["failure_class"] == "build"
    again = scene.start()
    await until(lambda: len(scene.api.bodies) == 2)
    await until(lambda: scene.api.looks == 2 + 1)
    await scene.end(2, "completed")
    await again


async def test_later_sources_are_built_after_earlier_ones(scene: Scene) -> None:
    work = scene.start(HELLO, Wish("trixie", "world"))
    await until(lambda: len(scene.api.bodies) == 2)
    await scene.end(1, "completed")
    await scene.end(2, "completed")
    await work
    assert [body.after_builds for body in scene.api.bodies] == [(), (1,)]


async def test_an_end_that_was_missed_while_the_broker_was_away_is_seen_when_it_is_back(scene: Scene) -> None:
    work = scene.start()
    await until(lambda: scene.api.looks == 1)
    scene.api.builds[1]["state"] = "completed"
    scene.events.look_again()
    await work


async def test_a_cancelled_compose_cancels_its_builds(scene: Scene) -> None:
    work = scene.start()
    await until(lambda: scene.api.looks == 1)
    work.cancel()
    await asyncio.wait([work])
    assert scene.api.cancelled == ["POST /api/v1/builds/1/cancel"]


async def test_a_build_that_takes_too_long_is_canceled_with_a_hint(scene: Scene) -> None:
    with pytest.raises(DeborchError) as late:
        await scene.start(timeout_s=0.02)
    assert late.value.code is ErrorCode.PROCESS_TIMEOUT
    assert scene.api.cancelled


async def test_a_dsc_is_uploaded_with_the_files_that_it_names(scene: Scene, tmp_path: Path) -> None:
    tar = b"the tar"
    (tmp_path / "own_1.tar.xz").write_bytes(tar)
    sha256 = hashlib.sha256(tar).hexdigest()
    dsc = (
        "Format: 3.0 (native)\nSource: own\nBinary: own\nArchitecture: all\nVersion: 1\nMaintainer: A <a@example.org>\n"
        f"Checksums-Sha256:\n {sha256} {len(tar)} own_1.tar.xz\nFiles:\n {'0' * 32} {len(tar)} own_1.tar.xz\n"
    )
    (tmp_path / "own_1.dsc").write_text(dsc)
    work = scene.start(Wish("trixie", "own", dsc=tmp_path / "own_1.dsc"))
    await until(lambda: scene.api.bodies)
    await until(lambda: scene.api.looks)
    await scene.end(1, "completed")
    await work
    (body,) = scene.api.bodies
    assert body.dsc is not None
    assert [body.dsc.name, *(file.name for file in body.files)] == ["own_1.dsc", "own_1.tar.xz"]
    assert scene.hub.blobs[sha256] == tar
