"""The log of an attempt reaches the hub whole, in order and soon, through whatever happens to the hub."""

import asyncio
import errno
from pathlib import Path

import pytest
from tests.unit.builder.fakes import FakeClock, FakeHub, until

from deborch_builder.attempt_key import AttemptKey
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.shipped_log import ShippedLog

KEY = AttemptKey(7, 1)


class Shipping:
    """A log on its way to a fake hub, and the chunks as they came."""

    def __init__(self, path: Path) -> None:
        self.hub = FakeHub()
        self.chunks: list[tuple[int, int]] = []
        self.fenced: list[str] = []
        self.clock = FakeClock()
        self.log = ShippedLog(path, self._append, self.clock, on_fenced=self.fenced.append)

    async def _append(self, offset: int, chunk: bytes) -> int:
        self.chunks.append((offset, len(chunk)))
        return await self.hub.append_log(KEY, offset, chunk)

    @property
    def arrived(self) -> bytes:
        return self.hub.logs.get(KEY, b"")


@pytest.fixture
def shipping(tmp_path: Path) -> Shipping:
    return Shipping(tmp_path / "7-1" / "log")


async def test_a_line_is_at_the_hub_soon_while_the_attempt_runs(shipping: Shipping) -> None:
    with shipping.log as log:
        task = asyncio.create_task(log.ship())
        log.write(b"first line\n")
        await until(lambda: shipping.arrived, within_s=1)
        log.write(b"second line\n")
        log.finish()
        await task
    assert shipping.arrived == b"first line\nsecond line\n"


async def test_many_small_writes_travel_in_few_chunks(shipping: Shipping) -> None:
    with shipping.log as log:
        task = asyncio.create_task(log.ship())
        for number in range(1000):
            log.write(b"%d\n" % number)
            if number % 100 == 0:
                await asyncio.sleep(0)
        log.finish()
        await task
    assert len(shipping.chunks) <= 2
    assert shipping.arrived == b"".join(b"%d\n" % number for number in range(1000))


async def test_64_kib_do_not_wait_for_the_clock(shipping: Shipping) -> None:
    with shipping.log as log:
        task = asyncio.create_task(log.ship())
        log.write(b"x" * 65_536)
        async with asyncio.timeout(0.2):
            await until(lambda: shipping.arrived)
        log.finish()
        await task


async def test_what_was_written_while_the_hub_was_away_follows_in_bounded_chunks(shipping: Shipping) -> None:
    shipping.hub.troubles = [DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "away")] * 3
    written = bytes(range(256)) * 4096
    with shipping.log as log:
        log.write(written)
        log.finish()
        await log.ship()
    assert shipping.arrived == written
    assert max(size for _, size in shipping.chunks) == 256 * 1024


async def test_the_hub_says_where_to_go_on(shipping: Shipping) -> None:
    with shipping.log as log:
        task = asyncio.create_task(log.ship())
        log.write(b"0123456789")
        await until(lambda: shipping.arrived)
        shipping.hub.logs[KEY] = b"0123"
        log.write(b"abc")
        log.finish()
        await task
    assert shipping.arrived == b"0123456789abc"


@pytest.mark.parametrize("code", [ErrorCode.CONFLICT, ErrorCode.FORBIDDEN, ErrorCode.NOT_FOUND])
async def test_an_attempt_that_is_not_current_is_told_and_shipping_ends(shipping: Shipping, code) -> None:
    shipping.hub.troubles = [DeborchError(code, "the attempt is over")]
    with shipping.log as log:
        log.write(b"line\n")
        async with asyncio.timeout(2):
            await log.ship()
    assert shipping.fenced == ["the attempt is over"]


async def test_a_log_that_the_hub_refuses_does_not_keep_the_build_from_its_report(shipping: Shipping, caplog) -> None:
    shipping.hub.troubles = [DeborchError(ErrorCode.TOO_LARGE, "the log is too large")]
    with shipping.log as log:
        log.write(b"line\n")
        log.finish()
        await log.ship()
        log.write(b"written later\n")
    assert not shipping.fenced
    assert "refuses the rest" in caplog.text


async def test_an_attempt_that_writes_nothing_makes_no_file(shipping: Shipping, tmp_path) -> None:
    with shipping.log as log:
        log.finish()
        await log.ship()
    assert not (tmp_path / "7-1").exists()


def test_a_full_disk_says_so(tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DeborchError) as refused:
        ShippedLog(tmp_path / "log", None, FakeClock(), on_fenced=print).write(b"x")
    assert refused.value.code is ErrorCode.DISK_FULL
    assert str(tmp_path) in refused.value.hint


async def test_a_log_that_the_hub_does_not_let_in_ends_the_attempt_in_time(shipping: Shipping) -> None:
    shipping.hub.troubles = [DeborchError(ErrorCode.UNAUTHENTICATED, "the key was revoked")] * 1000
    with shipping.log as log:
        log.write(b"line\n")
        with pytest.raises(DeborchError) as refused:
            await log.ship()
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert 300 <= sum(shipping.clock.slept_s) < 320
