"""A disk that is nearly full: caches are thinned out, builds are refused, and taken again by itself."""

from pathlib import Path

import pytest
from tests.unit.builder.conftest import Builder
from tests.unit.builder.fakes import build_task, until

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import BuildDone, TaskRefused
from deborch_shared.worker.disk_pressure import DiskPressure, free_bytes_of

FLOOR = 1000


class Disk:
    """Free space that tests set; what the engine removes comes on top."""

    def __init__(self, builder: Builder) -> None:
        self.free = 5000
        self.by_cleaning = 0
        self.builder = builder
        self.pressure = DiskPressure(
            (Path("/data"), Path("/cache")), FLOOR, builder.engine, builder.clock, self._free_bytes
        )
        builder.readiness.add(self.pressure)

    def _free_bytes(self, directory: Path) -> int:
        cleaned = self.by_cleaning * self.builder.engine.collections
        return self.free + cleaned if directory == Path("/cache") else 1 << 40

    async def look(self) -> str | None:
        self.builder.clock.advance(61)
        await self.pressure.look()
        return self.pressure.problem


@pytest.fixture
def disk(builder: Builder) -> Disk:
    return Disk(builder)


async def test_what_the_engine_can_make_again_goes_before_builds_are_refused(disk: Disk) -> None:
    disk.free, disk.by_cleaning = 900, 700
    assert await disk.look() is None
    assert disk.builder.engine.collections == 1


async def test_builds_are_refused_below_the_floor_and_taken_again_well_above_it(disk: Disk) -> None:
    disk.free = 900
    assert "/cache is nearly full" in str(await disk.look())
    builder = disk.builder
    await builder.receive(build_task(builder.hub, 1))
    (refusal,) = builder.reports(TaskRefused)
    assert "nearly full" in refusal.reason
    disk.free = 1400
    assert await disk.look() is not None
    disk.free = 1500
    assert await disk.look() is None
    disk.free = 1001
    assert await disk.look() is None
    await builder.receive(build_task(builder.hub, 2))
    await until(lambda: builder.reports(BuildDone))


async def test_a_disk_that_stays_full_is_not_cleaned_at_every_look(disk: Disk) -> None:
    disk.free = 10
    await disk.look()
    for _ in range(5):
        await disk.pressure.look()
    assert disk.builder.engine.collections == 1
    await disk.look()
    assert disk.builder.engine.collections == 2


async def test_a_cache_that_cannot_be_cleaned_is_no_end_of_the_builder(disk: Disk, monkeypatch) -> None:
    async def broken() -> None:
        raise DeborchError(ErrorCode.CHROOT_FAILED, "the cache is damaged")

    monkeypatch.setattr(disk.builder.engine, "collect_garbage", broken)
    disk.free = 10
    assert await disk.look() is not None


def test_a_directory_that_is_not_there_yet_counts_as_the_one_that_it_will_be_in(tmp_path) -> None:
    assert free_bytes_of(tmp_path / "not" / "yet") > 0
