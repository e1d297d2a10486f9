"""One archive that cannot be published keeps neither the others nor the hub from working."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from deborch_hub.archives.worker import ArchiveWorker
from deborch_shared.errors import DeborchError, ErrorCode


class FakePublisher:
    """`broken` raises what a disk says."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.published: list[str] = []

    async def behind(self) -> list[str]:
        return ["broken", "whole"]

    async def publish(self, target: str) -> None:
        if target == "broken":
            raise self.failure
        self.published.append(target)


class NoBuilds:
    async def fetch(self, *_: Any) -> list[Any]:
        return []


@pytest.mark.parametrize(
    "failure",
    [
        PermissionError(13, "Permission denied"),
        OSError(5, "Input/output error"),
        DeborchError(ErrorCode.DISK_FULL, "x"),
    ],
)
async def test_the_other_archives_are_published_and_the_worker_goes_on(failure):
    publisher = FakePublisher(failure)
    worker = ArchiveWorker(SimpleNamespace(database=NoBuilds()), SimpleNamespace(), lambda _: publisher)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        while not publisher.published:
            await asyncio.sleep(0.01)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])
