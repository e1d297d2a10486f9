import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.unit.hub_api.fakes import Hub

from deborch_hub.store.blobs import BlobStore
from deborch_hub.store.logs import LogStore
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Attempt, Sha256, TaskId

DATA = os.urandom(8 << 20)
NAME = Sha256(hashlib.sha256(DATA).hexdigest())
URL = f"/api/v1/blobs/{NAME}"
SLOW_UPLOAD = """
import asyncio, sys
from pathlib import Path
from deborch_hub.store.blobs import BlobStore

async def chunks(data, offset):
    for start in range(offset, len(data), 1 << 20):
        yield data[start : start + (1 << 20)]
        print(start, flush=True)
        await asyncio.sleep(float(sys.argv[4]))

root, name, data = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes()
asyncio.run(BlobStore(root, lock_wait_s=30).receive(name, chunks(data, 0), offset=None, length=len(data)))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for four mebibytes."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def start_upload(root: Path, file: Path, pause_s: float) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", SLOW_UPLOAD, str(root), NAME, str(file), str(pause_s)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


def all_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_an_upload_whose_connection_breaks_resumes_where_head_says(client, hub):
    sent = asyncio.Event()

    async def breaking() -> AsyncIterator[bytes]:
        yield DATA[: 3 << 20]
        sent.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(client.put(URL, data=breaking(), headers={"Upload-Length": str(len(DATA))}))
    await sent.wait()
    upload.cancel()
    async with asyncio.timeout(5):
        while (offset := int((await client.head(URL)).headers["Upload-Offset"])) < 2 << 20:
            await asyncio.sleep(0.05)
    assert (await client.get(URL)).status == 404
    headers = {"Upload-Length": str(len(DATA)), "Upload-Offset": str(offset)}
    while (rest := await client.put(URL, data=DATA[offset:], headers=headers)).status == 409:
        offset = (await rest.json())["offset"]
        headers["Upload-Offset"] = str(offset)
    assert rest.status == 201
    assert await (await client.get(URL)).read() == DATA
    assert hub.commands.given == [("record_blob", NAME, len(DATA))]


async def test_an_upload_killed_with_its_process_leaves_a_part_that_another_process_finishes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(DATA)
    store = BlobStore(tmp_path / "blobs")
    store.prepare()
    upload = start_upload(store.root, file, 0.05)
    assert upload.stdout is not None
    for _ in range(4):
        await asyncio.to_thread(upload.stdout.readline)
    upload.kill()
    upload.communicate()
    offset = store.received(NAME)
    assert 0 < offset < len(DATA)
    assert not store.exists(NAME)
    await store.receive(NAME, chunks(DATA[offset:]), offset=offset, length=len(DATA))
    assert store.path_of(NAME).read_bytes() == DATA


async def test_two_processes_that_upload_the_same_blob_leave_one_whole(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(DATA)
    store = BlobStore(tmp_path / "blobs")
    store.prepare()
    uploads = [start_upload(store.root, file, 0.01) for _ in range(3)]
    for upload in uploads:
        await asyncio.to_thread(upload.communicate)
    assert [upload.returncode for upload in uploads] == [0, 0, 0]
    assert all_files(store.root) == [store.path_of(NAME)]
    assert store.path_of(NAME).read_bytes() == DATA


@pytest.mark.root
async def test_a_full_disk_is_said_and_leaves_nothing_of_the_blob(small_disk):
    store = BlobStore(small_disk / "blobs")
    store.prepare()
    with pytest.raises(DeborchError) as refused:
        await store.receive(NAME, chunks(DATA), offset=None, length=len(DATA))
    assert refused.value.code is ErrorCode.DISK_FULL
    assert refused.value.temporary
    assert all_files(small_disk) == []
    small = DATA[: 1 << 20]
    name = Sha256(hashlib.sha256(small).hexdigest())
    assert await store.receive(name, chunks(small), offset=None, length=len(small)) == len(small)


@pytest.mark.root
async def test_a_full_disk_is_507_over_http(small_disk, hub_database):
    hub = Hub(small_disk, hub_database)
    async with hub.client() as client:
        response = await client.put(URL, data=DATA, headers={"Upload-Length": str(len(DATA))})
        problem = await response.json()
    assert (response.status, problem["code"]) == (507, "disk-full")
    assert "free space" in problem["hint"]
    assert hub.commands.given == []
    assert all_files(small_disk) == []


@pytest.mark.root
async def test_a_full_disk_refuses_a_file_of_the_hubs_own(small_disk, tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    store = BlobStore(small_disk / "blobs")
    store.prepare()
    with pytest.raises(DeborchError) as refused:
        await store.add_file(tmp_path / "file")
    assert refused.value.code is ErrorCode.DISK_FULL
    assert all_files(small_disk) == []


@pytest.mark.root
async def test_a_full_disk_refuses_a_chunk_of_a_log_and_what_fits_later_goes_on(small_disk):
    logs = LogStore(small_disk / "logs")
    with pytest.raises(DeborchError) as refused:
        await logs.append(TaskId(1), Attempt(1), 0, DATA)
    assert refused.value.code is ErrorCode.DISK_FULL
    size = logs.size_of(TaskId(1), Attempt(1))
    assert await logs.read(TaskId(1), Attempt(1), 0, size) == DATA[:size]
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=16m", small_disk], check=True)
    assert await logs.append(TaskId(1), Attempt(1), 0, DATA) == len(DATA)
    assert await logs.read(TaskId(1), Attempt(1), 0, len(DATA)) == DATA
