"""Files to and from the hub: resumed where they broke off, verified, and never outside their directory."""

from pathlib import Path

import pytest
from tests.unit.builder.fakes import FakeClock, FakeHub

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import File
from deborch_shared.worker.transfers import Transfers, plain_name

CONTENT = b"0123456789" * 100


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def transfers(hub: FakeHub) -> Transfers:
    return Transfers(hub, FakeClock())


def stored(hub: FakeHub, content: bytes = CONTENT, name: str = "hello.dsc") -> File:
    return File(name=name, sha256=hub.keep(content), size_bytes=len(content))


def made(directory: Path, content: bytes = CONTENT, name: str = "hello.deb") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


async def test_a_download_goes_on_where_it_broke_off(hub, transfers, tmp_path) -> None:
    hub.breaks_after_bytes = 300
    (path,) = await transfers.download_all([stored(hub)], tmp_path)
    assert path.read_bytes() == CONTENT
    assert hub.reads_from == [0, 300]


async def test_an_empty_file_needs_no_download(hub, transfers, tmp_path) -> None:
    (path,) = await transfers.download_all([stored(hub, b"")], tmp_path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("wrong", [b"x" * 1000, b"short", CONTENT + b"more"])
async def test_bytes_that_were_not_announced_are_refused(hub, transfers, tmp_path, wrong) -> None:
    file = stored(hub)
    hub.blobs[file.sha256] = wrong
    with pytest.raises(DeborchError) as refused:
        await transfers.download_all([file], tmp_path)
    assert refused.value.code is ErrorCode.DIGEST_MISMATCH


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", ".", "..", "a\0b", "a\nb"])
def test_only_plain_file_names_are_written(name) -> None:
    with pytest.raises(DeborchError) as refused:
        plain_name(name)
    assert refused.value.code is ErrorCode.UNSAFE_PATH


async def test_a_blob_that_is_there_is_not_sent_again(hub, transfers, tmp_path) -> None:
    hub.keep(CONTENT)
    (file,) = await transfers.upload_all([made(tmp_path)])
    assert (file.name, file.size_bytes) == ("hello.deb", len(CONTENT))
    assert len(hub.blobs) == 1


async def test_an_upload_goes_on_where_it_broke_off(hub, transfers, tmp_path) -> None:
    hub.breaks_after_bytes = 10
    (file,) = await transfers.upload_all([made(tmp_path)])
    assert hub.blobs[file.sha256] == CONTENT


async def test_an_upload_waits_as_long_as_the_hub_is_away(hub, tmp_path) -> None:
    clock = FakeClock()
    away = [ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.DATABASE_UNAVAILABLE, ErrorCode.DISK_FULL, ErrorCode.INTERNAL]
    hub.troubles = [DeborchError(code, "not now") for code in away * 5]
    (file,) = await Transfers(hub, clock).upload_all([made(tmp_path)])
    assert file.sha256 in hub.blobs
    assert clock.slept_s[0] < 1
    assert 10 < max(clock.slept_s) <= 20


async def test_two_uploads_of_the_same_bytes_find_together(hub, transfers, tmp_path) -> None:
    hub.troubles = [DeborchError(ErrorCode.CONFLICT, "another upload goes on")]
    (file,) = await transfers.upload_all([made(tmp_path)])
    assert file.sha256 in hub.blobs


async def test_an_upload_that_arrives_damaged_is_sent_again_and_not_for_ever(hub, tmp_path) -> None:
    damaged = 0

    async def send_blob(*_: object, **__: object) -> None:
        nonlocal damaged
        damaged += 1
        raise DeborchError(ErrorCode.DIGEST_MISMATCH, "the blob has another digest")

    hub.send_blob = send_blob
    with pytest.raises(DeborchError) as refused:
        await Transfers(hub, FakeClock()).upload_all([made(tmp_path)])
    assert refused.value.code is ErrorCode.DIGEST_MISMATCH
    assert damaged == 3


async def test_a_refused_upload_is_raised_by_itself(hub, transfers, tmp_path) -> None:
    hub.troubles = [DeborchError(ErrorCode.FORBIDDEN, "the key lacks blob:write")]
    with pytest.raises(DeborchError) as refused:
        await transfers.upload_all([made(tmp_path), made(tmp_path, b"other", "other.deb")])
    assert refused.value.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("code", [ErrorCode.INTERNAL, ErrorCode.UNAUTHENTICATED])
async def test_downloads_and_uploads_outlast_what_an_operator_mends(hub, transfers, tmp_path, code) -> None:
    file = stored(hub)
    hub.troubles = [DeborchError(code, "not now")] * 3
    await transfers.download_all([file], tmp_path)
    hub.troubles = [DeborchError(code, "not now")] * 3
    (sent,) = await transfers.upload_all([made(tmp_path, b"a result")])
    assert sent.sha256 in hub.blobs


@pytest.mark.parametrize(("code", "limit_s"), [(ErrorCode.INTERNAL, 900), (ErrorCode.UNAUTHENTICATED, 300)])
async def test_what_nobody_mends_is_not_waited_for_without_end(hub, tmp_path, code, limit_s) -> None:
    file = stored(hub)
    hub.troubles = [DeborchError(code, "never again")] * 1000
    for work in (
        lambda transfers: transfers.download_all([file], tmp_path),
        lambda transfers: transfers.upload_all([made(tmp_path)]),
    ):
        clock = FakeClock()
        with pytest.raises(DeborchError) as refused:
            await work(Transfers(hub, clock))
        assert refused.value.code is code
        assert limit_s <= sum(clock.slept_s) < limit_s + 20
