import hashlib
import random

import pytest
from tests.unit.hub_api.fakes import Hub

DATA = random.Random(1).randbytes(600_000)
NAME = hashlib.sha256(DATA).hexdigest()
URL = f"/api/v1/blobs/{NAME}"


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


def length(offset: int | None = None, total: int = len(DATA)) -> dict[str, str]:
    headers = {"Upload-Length": str(total)}
    return headers if offset is None else {**headers, "Upload-Offset": str(offset)}


async def upload(client, data: bytes = DATA, *, offset: int | None = None, total: int = len(DATA)):
    return await client.put(URL, data=data, headers=length(offset, total))


async def test_a_whole_upload_is_created_and_recorded(hub, client):
    response = await upload(client)
    assert (response.status, response.headers["Upload-Offset"]) == (201, str(len(DATA)))
    assert hub.commands.given == [("record_blob", NAME, len(DATA))]


async def test_a_part_is_accepted_and_head_says_where_to_go_on(hub, client):
    response = await upload(client, DATA[:1000])
    assert (response.status, response.headers["Upload-Offset"]) == (202, "1000")
    assert hub.commands.given == []
    look = await client.head(URL)
    assert (look.status, look.headers["Upload-Offset"]) == (404, "1000")
    assert (await upload(client, DATA[1000:], offset=1000)).status == 201


async def test_head_of_a_recorded_blob_gives_its_size(hub, client):
    await upload(client)
    hub.database.answers["read_blob"] = [{"size_bytes": len(DATA)}]
    look = await client.head(URL)
    assert (look.status, look.headers["Content-Length"]) == (200, str(len(DATA)))
    assert (await client.get(URL)).status == 200


async def test_a_blob_that_the_database_does_not_know_is_asked_for_again_and_then_recorded(hub, client):
    await upload(client)
    look = await client.head(URL)
    assert (look.status, look.headers["Upload-Offset"]) == (404, "0")
    assert (await upload(client)).status == 201
    assert hub.commands.given == [("record_blob", NAME, len(DATA))] * 2


async def test_going_on_at_the_wrong_place_is_a_conflict_with_the_right_one(client):
    await upload(client, DATA[:1000])
    response = await upload(client, DATA[500:], offset=500)
    assert (response.status, (await response.json())["offset"]) == (409, 1000)


async def test_a_wrong_digest_is_refused_and_forgotten(hub, client):
    response = await upload(client, b"x" * len(DATA))
    assert (response.status, (await response.json())["code"]) == (422, "digest-mismatch")
    assert (await client.head(URL)).headers["Upload-Offset"] == "0"
    assert hub.commands.given == []


async def test_more_than_was_announced_is_refused(client):
    assert (await upload(client, total=10)).status == 413

    async def without_length():
        yield DATA

    assert (await client.put(URL, data=without_length(), headers=length(total=10))).status == 413


@pytest.mark.parametrize(
    "headers", [{}, {"Upload-Length": "x"}, {"Upload-Length": "-1"}, {"Upload-Length": "5", "Upload-Offset": "a"}]
)
async def test_an_upload_without_a_length_or_with_a_bad_number_is_refused(client, headers):
    response = await client.put(URL, data=b"x", headers=headers)
    assert (response.status, (await response.json())["code"]) == (422, "invalid-input")


@pytest.mark.parametrize("name", ["abc", NAME.upper(), "g" * 64, NAME + "0", "%2e%2e"])
async def test_a_name_that_is_no_digest_is_refused(client, name):
    for method in ("GET", "PUT"):
        response = await client.request(method, f"/api/v1/blobs/{name}")
        assert response.status in {404, 422}


async def test_a_download_is_whole_immutable_and_has_the_digest_as_its_etag(client):
    await upload(client)
    response = await client.get(URL)
    assert await response.read() == DATA
    assert response.headers["ETag"] == f'"{NAME}"'
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (await client.get(URL, headers={"If-None-Match": f'"{NAME}"'})).status == 304


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=100-299", 100, 300),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        (f"bytes=10-{10**9}", 10, len(DATA)),
        (f"bytes=-{10**9}", 0, len(DATA)),
    ],
)
async def test_a_range_gives_that_part(client, asked, start, stop):
    await upload(client)
    response = await client.get(URL, headers={"Range": asked})
    assert (response.status, await response.read()) == (206, DATA[start:stop])
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=5-1", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "rubbish"])
async def test_a_range_that_is_not_understood_gives_the_whole(client, asked):
    await upload(client)
    response = await client.get(URL, headers={"Range": asked})
    assert (response.status, await response.read()) == (200, DATA)


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", "bytes=-0"])
async def test_a_range_outside_is_refused_with_the_size(client, asked):
    await upload(client)
    response = await client.get(URL, headers={"Range": asked})
    assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize(("condition", "status"), [(f'"{NAME}"', 206), ('"other"', 200), ("rubbish", 200)])
async def test_a_range_for_another_version_gives_the_whole(client, condition, status):
    await upload(client)
    response = await client.get(URL, headers={"Range": "bytes=0-9", "If-Range": condition})
    assert response.status == status


async def test_a_blob_that_is_not_there_is_not_found(client):
    assert (await client.get(URL)).status == 404


async def test_an_artifact_comes_under_its_own_name(hub, client):
    await upload(client)
    hub.database.answers["read_artifact"] = [
        {"id": 5, "build_id": 1, "task_id": 2, "name": "hello_1+b1_amd64.deb", "kind": "deb", "size_bytes": len(DATA),
         "sha256": bytes.fromhex(NAME)},
    ]  # fmt: skip
    response = await client.get("/api/v1/artifacts/5/content")
    assert await response.read() == DATA
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''hello_1%2Bb1_amd64.deb"
