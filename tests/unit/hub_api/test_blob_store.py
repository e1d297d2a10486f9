import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from deborch_hub.store.blobs import BlobStore
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256

DATA = os.urandom(3 << 20)
NAME = Sha256(hashlib.sha256(DATA).hexdigest())


async def chunks(data: bytes, *, step: int = 100_000, breaks_at: int | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        if breaks_at is not None and start >= breaks_at:
            raise ConnectionResetError("the client went away")
        yield data[start : start + step]


@pytest.fixture
def store(tmp_path):
    store = BlobStore(tmp_path / "blobs", max_blob_bytes=10 << 20, lock_wait_s=0.2)
    store.prepare()
    return store


def parts_of(store):
    return list((store.root / "parts").iterdir())


async def test_a_blob_is_there_under_its_digest_once_it_is_whole(store):
    assert await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA)) == len(DATA)
    assert store.path_of(NAME) == store.root / NAME[:2] / NAME[2:]
    with store.open(NAME) as blob:
        assert blob.read() == DATA
    assert parts_of(store) == []


async def test_an_empty_blob_can_be_stored(store):
    name = Sha256(hashlib.sha256(b"").hexdigest())
    assert await store.receive(name, chunks(b""), offset=None, length=0) == 0
    assert store.size_of(name) == 0


async def test_what_is_not_there_is_not_found(store):
    assert not store.exists(NAME)
    with pytest.raises(DeborchError) as refused:
        store.open(NAME)
    assert refused.value.code is ErrorCode.NOT_FOUND


async def test_a_broken_upload_is_not_visible_and_goes_on_where_it_broke_off(store):
    with pytest.raises(ConnectionResetError):
        await store.receive(NAME, chunks(DATA, breaks_at=1_500_000), offset=None, length=len(DATA))
    assert not store.exists(NAME)
    assert store.received(NAME) == 1_500_000
    here = await store.receive(NAME, chunks(DATA[1_500_000:]), offset=1_500_000, length=len(DATA))
    assert here == len(DATA)
    assert store.path_of(NAME).read_bytes() == DATA


async def test_an_upload_in_parts_says_how_far_it_is(store):
    assert await store.receive(NAME, chunks(DATA[:1000]), offset=None, length=len(DATA)) == 1000
    assert await store.receive(NAME, chunks(DATA[1000:]), offset=1000, length=len(DATA)) == len(DATA)


@pytest.mark.parametrize("offset", [0, 999, 1001, 10**9])
async def test_going_on_at_another_place_is_refused_with_the_right_one(store, offset):
    await store.receive(NAME, chunks(DATA[:1000]), offset=None, length=len(DATA))
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(b"x"), offset=offset, length=len(DATA))
    assert (refused.value.code, refused.value.fields["offset"]) == (ErrorCode.CONFLICT, 1000)
    assert store.received(NAME) == 1000


async def test_going_on_where_nothing_is_leaves_nothing_behind(store):
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(b"x"), offset=5, length=len(DATA))
    assert refused.value.fields["offset"] == 0
    assert parts_of(store) == []


async def test_an_upload_without_an_offset_begins_again(store):
    await store.receive(NAME, chunks(b"rubbish"), offset=None, length=len(DATA))
    assert await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA)) == len(DATA)


async def test_a_wrong_digest_is_refused_and_dropped(store):
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(b"x" * len(DATA)), offset=None, length=len(DATA))
    assert refused.value.code is ErrorCode.DIGEST_MISMATCH
    assert not store.exists(NAME)
    assert parts_of(store) == []


async def test_more_than_was_announced_is_refused_and_dropped(store):
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA) - 1)
    assert refused.value.code is ErrorCode.TOO_LARGE
    assert parts_of(store) == []


async def test_a_blob_above_the_limit_is_refused_before_anything_is_read(store):
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("was read")
        yield b""

    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, never(), offset=None, length=11 << 20)
    assert refused.value.code is ErrorCode.TOO_LARGE


async def test_what_is_there_already_is_not_read_again(store):
    await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA))
    inode = store.path_of(NAME).stat().st_ino
    assert await store.receive(NAME, chunks(b"rubbish"), offset=None, length=len(DATA)) == len(DATA)
    assert store.path_of(NAME).stat().st_ino == inode
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(b"rubbish"), offset=None, length=3)
    assert refused.value.code is ErrorCode.DIGEST_MISMATCH


async def test_many_uploads_of_one_blob_at_once_give_one_whole_blob(store):
    store = BlobStore(store.root)
    uploads = [store.receive(NAME, chunks(DATA), offset=None, length=len(DATA)) for _ in range(8)]
    assert await asyncio.gather(*uploads) == [len(DATA)] * 8
    assert store.path_of(NAME).read_bytes() == DATA
    assert parts_of(store) == []


async def test_an_upload_held_by_another_process_is_a_conflict_that_says_how_far_it_is(store):
    await store.receive(NAME, chunks(DATA[:1000]), offset=None, length=len(DATA))
    with (store.root / "parts" / NAME).open("r+b") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(DeborchError) as refused:
            await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA))
    assert (refused.value.code, refused.value.fields["offset"]) == (ErrorCode.CONFLICT, 1000)
    assert store.received(NAME) == 1000


async def test_a_canceled_upload_keeps_what_has_come_and_lets_the_next_one_go_on(store):
    reached = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield DATA[: 2 << 20]
        reached.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.receive(NAME, stalling(), offset=None, length=len(DATA)))
    await reached.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert store.received(NAME) == 2 << 20
    assert await store.receive(NAME, chunks(DATA[2 << 20 :]), offset=2 << 20, length=len(DATA)) == len(DATA)


async def test_the_hub_adds_a_file_of_its_own(store, tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    assert await store.add_file(tmp_path / "file") == (NAME, len(DATA))
    assert await store.add_file(tmp_path / "file") == (NAME, len(DATA))
    assert store.path_of(NAME).read_bytes() == DATA
    assert parts_of(store) == []


async def test_uploads_that_nobody_went_on_with_for_a_week_are_dropped_at_the_start(store):
    await store.receive(NAME, chunks(DATA[:1000]), offset=None, length=len(DATA))
    store.prepare()
    assert store.received(NAME) == 1000
    os.utime(store.root / "parts" / NAME, (0, 0))
    store.prepare()
    assert store.received(NAME) == 0
