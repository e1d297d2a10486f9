import os
import time
from email.utils import formatdate

import pytest
from tests.unit.hub_api.fakes import Hub
from yarl import URL

from deborch_hub.api.archive_files import locate
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def hub(tmp_path):
    hub = Hub(tmp_path / "data")
    root = hub.archives / "bookworm"
    for path in (
        "generations/3/dists/bookworm/InRelease",
        "generations/3/dists/bookworm/main/binary-amd64/by-hash/SHA256/" + "a" * 64,
        "generations/3/dists/bookworm/main/binary-amd64/Packages.xz",
        "snapshots/20260101T000000Z/dists/bookworm/InRelease",
        "private/key",
        "bookworm.sources",
        "other.sources",
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
        os.utime(file, (1_700_000_000, 1_700_000_000))
    (root / "current").symlink_to("generations/3")
    blob = tmp_path / "data" / "blobs" / "ab" / "cd"
    blob.parent.mkdir(parents=True)
    blob.write_text("a deb")
    (root / "pool/h").mkdir(parents=True)
    (root / "pool/h/hello_1_amd64.deb").symlink_to(blob)
    (tmp_path / "secret").write_text("secret")
    (root / "pool/outside.deb").symlink_to(tmp_path / "secret")
    return hub


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "content_type", "immutable"),
    [
        ("dists/bookworm/InRelease", "text/plain", False),
        ("dists/bookworm/main/binary-amd64/Packages.xz", "application/x-xz", False),
        ("dists/bookworm/main/binary-amd64/by-hash/SHA256/" + "a" * 64, "text/plain", True),
        ("pool/h/hello_1_amd64.deb", "application/vnd.debian.binary-package", True),
        ("snapshots/20260101T000000Z/dists/bookworm/InRelease", "text/plain", True),
        ("bookworm.sources", "text/plain", False),
    ],
)
async def test_what_apt_reads_is_served_to_anyone(client, path, content_type, immutable):
    response = await client.get(f"/archives/bookworm/{path}", headers={"Authorization": ""})
    assert response.status == 200
    assert (await response.text()) in {"a deb"} or (await response.text()).endswith(path)
    assert response.content_type == content_type
    assert ("immutable" in response.headers["Cache-Control"]) == immutable


@pytest.mark.parametrize(
    "path",
    [
        "private/key",
        "generations/3/dists/bookworm/InRelease",
        "current/dists/bookworm/InRelease",
        "other.sources",
        "dists",
        "dists/bookworm",
        "pool/outside.deb",
        "pool/none.deb",
        "pool/h/hello_1_amd64.deb/x",
        "pool/" + "x" * 300,
        "snapshots/20260101T000000Z",
        "snapshots/20260101T000000Z/private/key",
    ],
)
async def test_what_is_not_part_of_the_archive_is_not_found(client, path):
    assert (await client.get(f"/archives/bookworm/{path}")).status == 404


@pytest.mark.parametrize(
    "path", ["dists/../private/key", "pool/..", "../bookworm.sources", "dists//x", "./bookworm.sources", "pool/x/"]
)
def test_a_path_that_climbs_is_refused(hub, path):
    with pytest.raises(DeborchError) as refused:
        locate(hub.archives, "bookworm", path)
    assert refused.value.code is ErrorCode.UNSAFE_PATH


@pytest.mark.parametrize(
    "path", ["dists/%2e%2e/private/key", "dists%2f..%2fprivate%2fkey", "pool/..%2f..%2f..%2fsecret"]
)
async def test_a_path_that_climbs_by_escapes_is_refused(client, path):
    response = await client.get(URL(f"/archives/bookworm/{path}", encoded=True))
    assert response.status in {404, 422}


@pytest.mark.parametrize("target", ["..", ".", "Bookworm", "nobody"])
def test_an_unknown_target_has_no_files(hub, target):
    with pytest.raises(DeborchError):
        file = locate(hub.archives, target, "dists/x")
        assert not file.exists()
        raise DeborchError(ErrorCode.NOT_FOUND, "as a request says it")


async def test_a_known_copy_is_not_sent_again(client):
    url = "/archives/bookworm/dists/bookworm/InRelease"
    first = await client.get(url)
    by_date = await client.get(url, headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert (by_date.status, await by_date.read()) == (304, b"")
    assert (await client.get(url, headers={"If-None-Match": first.headers["ETag"]})).status == 304
    older = formatdate(1_600_000_000, usegmt=True)
    assert (await client.get(url, headers={"If-Modified-Since": older})).status == 200


async def test_a_copy_from_before_a_change_within_the_same_second_is_sent_again(hub, client):
    file = hub.archives / "bookworm/generations/3/dists/bookworm/InRelease"
    url = "/archives/bookworm/dists/bookworm/InRelease"
    now = time.time()
    os.utime(file, (now, now))
    first = await client.get(url)
    file.write_text("published again at once")
    os.utime(file, (now, now))
    again = await client.get(url, headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert (again.status, await again.text()) == (200, "published again at once")


async def test_a_switch_of_the_generation_shows_at_once(hub, client):
    root = hub.archives / "bookworm"
    new = root / "generations/4/dists/bookworm"
    new.mkdir(parents=True)
    (new / "InRelease").write_text("four")
    (root / "next").symlink_to("generations/4")
    (root / "next").rename(root / "current")
    assert await (await client.get("/archives/bookworm/dists/bookworm/InRelease")).text() == "four"


async def test_a_range_of_a_file_is_served(client):
    response = await client.get("/archives/bookworm/pool/h/hello_1_amd64.deb", headers={"Range": "bytes=2-"})
    assert (response.status, await response.text()) == (206, "deb")


async def test_the_sources_file_is_served_to_those_who_may_read_archives(hub, client):
    archive = {"id": 1, "target": "bookworm", "suite": "bookworm", "architectures": ["amd64"],
               "published_generation": 3, "published_at": None}  # fmt: skip
    hub.database.answers["read_archives"] = [archive]
    hub.database.answers["read_archive_totals"] = [{"packages": 1, "sources": 1, "size_bytes": 5}]
    response = await client.get("/api/v1/archives/bookworm/sources")
    assert (response.status, response.content_type, await response.text()) == (200, "text/plain", "bookworm.sources")


async def test_a_file_can_be_asked_for_with_head(client):
    response = await client.head("/archives/bookworm/dists/bookworm/InRelease")
    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 0
    assert await response.read() == b""
