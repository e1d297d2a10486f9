"""Bases are made ahead while nothing is to be built, and no build waits for that."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.builder.conftest import Builder
from tests.unit.builder.fakes import build_task, until

from deborch_builder.engine_port import Environment
from deborch_builder.preparation import Preparation
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import BuildDone, PrepareEnvironment
from deborch_shared.worker.readiness import EngineNeed

SID = Environment("sid", ("main",), "amd64")
BOOKWORM = Environment("bookworm", ("main",), "amd64")


class Scene:
    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.engine = builder.engine
        self.told = 0
        self.preparation = Preparation(
            builder.engine, builder.attempts, builder.readiness, builder.clock, self._prepared
        )

    async def _prepared(self) -> None:
        self.told += 1


@pytest.fixture
async def scene(builder: Builder) -> AsyncIterator[Scene]:
    made = Scene(builder)
    running = asyncio.create_task(made.preparation.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_the_hub_wishes_over_the_queue_of_the_host(builder: Builder) -> None:
    await builder.receive(PrepareEnvironment(suite="sid", components=("main",), architecture="amd64"))
    assert builder.wishes == [SID]


async def test_an_idle_host_makes_each_base_once_and_tells_of_it(scene: Scene) -> None:
    scene.preparation.wish(SID)
    scene.preparation.wish(BOOKWORM)
    scene.preparation.wish(SID)
    await until(lambda: scene.told == 2)
    assert scene.engine.preparing == [SID, BOOKWORM]


async def test_nothing_is_made_ahead_while_something_is_built(scene: Scene) -> None:
    scene.engine.hold = True
    await scene.builder.receive(build_task(scene.builder.hub, 1))
    await scene.engine.building.wait()
    scene.preparation.wish(SID)
    await asyncio.sleep(0.02)
    assert not scene.engine.preparing
    scene.engine.release()
    await until(lambda: scene.told)


async def test_a_build_that_comes_ends_a_preparation_and_it_is_made_up_for_later(scene: Scene) -> None:
    scene.engine.preparations_last = True
    scene.preparation.wish(SID)
    await until(lambda: scene.engine.preparing)
    await scene.builder.receive(build_task(scene.builder.hub, 1))
    await until(lambda: scene.builder.reports(BuildDone))
    assert scene.engine.canceled == 1
    scene.engine.release()
    await until(lambda: scene.told)
    assert scene.engine.preparing == [SID, SID]


async def test_a_build_that_wants_the_very_base_in_the_making_lets_it_be_made(scene: Scene) -> None:
    scene.engine.preparations_last = True
    scene.preparation.wish(BOOKWORM)
    await until(lambda: scene.engine.preparing)
    await scene.builder.receive(build_task(scene.builder.hub, 1))
    await until(lambda: scene.builder.reports(BuildDone))
    assert scene.engine.canceled == 0
    scene.engine.release()
    await until(lambda: scene.told)


async def test_a_base_that_cannot_be_made_is_not_tried_for_ever(scene: Scene, monkeypatch, caplog) -> None:
    async def broken(_: Environment) -> None:
        raise DeborchError(ErrorCode.FETCH_FAILED, "there is no such suite")

    monkeypatch.setattr(scene.engine, "prepare", broken)
    scene.preparation.wish(SID)
    await until(lambda: "no such suite" in caplog.text)
    monkeypatch.undo()
    scene.preparation.wish(BOOKWORM)
    await until(lambda: scene.told)
    assert scene.engine.preparing == [BOOKWORM]


async def test_a_host_that_cannot_build_makes_nothing_ahead(scene: Scene) -> None:
    scene.engine.unusable = DeborchError(ErrorCode.DISK_FULL, "no space is left")
    need = EngineNeed(scene.engine)
    await need.look()
    scene.builder.readiness.add(need)
    scene.preparation.wish(SID)
    await asyncio.sleep(0.02)
    assert not scene.engine.preparing
