"""What holds on disk and in the database when publishing stops at any point."""

import asyncio
import gzip
import shutil

import pytest

from deborch_hub.archives import ArchivePolicy, Signatures
from deborch_shared.errors import DeborchError, ErrorCode


class PowerCutError(Exception):
    """The process dies here."""


class DyingSigner:
    fingerprint = "0" * 40
    public_key = "key"

    async def sign(self, release: bytes) -> Signatures:
        raise PowerCutError


@pytest.fixture
def publisher(shop):
    return shop.publisher()


def listed(shop, target="t1"):
    index = shop.root / target / "dists" / target / "main/binary-amd64/Packages.gz"
    text = gzip.decompress(index.read_bytes()).decode()
    return [line[9:] for line in text.splitlines() if line.startswith("Package: ")]


def names_in(directory):
    return {path.name for path in directory.iterdir()}


def tree(shop):
    """Every file of the published indices and its content."""
    suite = shop.root / "t1/dists/t1"
    return {
        str(path.relative_to(suite)): path.read_bytes()
        for path in suite.rglob("*")
        if path.is_file() and "by-hash" not in path.parts and "Release" not in path.name
    }


async def test_builds_are_completed_with_the_publication_that_lists_them(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    first, _ = await shop.add_build(target, make_deb("a1", "1.0"))
    second, generation = await shop.add_build(target, make_deb("b1", "1.0"))
    published = await publisher.publish("t1")
    assert published.completed_builds == [first, second]
    assert shop.recorded == [(published.event, [first, second])]
    row = await shop.database.fetchrow("SELECT published_generation, published_at FROM archive")
    assert row["published_generation"] == generation
    states = await shop.database.fetch("SELECT state, ended_at FROM build")
    assert {row["state"] for row in states} == {"completed"}
    snapshot = await shop.database.fetchrow("SELECT * FROM snapshot")
    assert (snapshot["name"], snapshot["packages"]) == (published.event.snapshot, 2)


async def test_publishing_with_nothing_new_does_nothing(shop, publisher):
    await shop.add_target("t1")
    await publisher.publish("t1")
    assert await publisher.behind() == []
    assert await publisher.publish("t1") is None
    assert len(shop.recorded) == 1


async def test_requests_made_at_once_are_met_by_one_publication(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    assert await publisher.behind() == ["t1"]
    results = await asyncio.gather(*(publisher.publish("t1") for _ in range(5)))
    assert sum(result is not None for result in results) == 1


async def test_two_processes_do_not_publish_one_archive_at_once(shop, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    results = await asyncio.gather(shop.publisher().publish("t1"), shop.publisher().publish("t1"))
    assert sum(result is not None for result in results) == 1


async def test_an_unknown_target_is_not_found_wherever_its_name_points(shop, publisher):
    for name in ("nowhere", "../escape"):
        with pytest.raises(DeborchError) as refused:
            await publisher.publish(name)
        assert refused.value.code is ErrorCode.NOT_FOUND
    assert not (shop.root.parent / "escape").exists()


async def test_a_death_before_the_switch_leaves_the_last_publication(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    await shop.add_build(target, make_deb("b1", "1.0"))
    signer, shop.signer = shop.signer, DyingSigner()
    with pytest.raises(PowerCutError):
        await shop.publisher().publish("t1")
    assert listed(shop) == ["a1"]
    assert names_in(shop.root / "t1/.partial") == set()
    shop.signer = signer
    await shop.publisher().publish("t1")
    assert listed(shop) == ["a1", "b1"]


async def test_a_death_between_switch_and_record_is_made_good(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    build, generation = await shop.add_build(target, make_deb("b1", "1.0"))
    shop.fail_record = PowerCutError()
    for _ in range(2):
        with pytest.raises(PowerCutError):
            await publisher.publish("t1")
        assert listed(shop) == ["a1", "b1"]
        assert await shop.database.fetchval("SELECT state FROM build WHERE id = $1", build) == "publishing"
        assert await shop.database.fetchval("SELECT count(*) FROM snapshot") == 1
    shop.fail_record = None
    published = await shop.publisher().publish("t1")
    assert (published.event.generation, published.completed_builds) == (generation, [build])
    kept = {row["name"] for row in await shop.database.fetch("SELECT name FROM snapshot")}
    assert names_in(shop.root / "t1/snapshots") == kept


async def test_what_a_killed_process_left_is_swept_away(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await publisher.publish("t1")
    (shop.root / "t1/.partial/20200101T000000Z/dists").mkdir(parents=True)
    (shop.root / "t1/snapshots/20200101T000000Z/dists").mkdir(parents=True)
    (shop.root / "t1/.current.new").symlink_to("nowhere")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await shop.publisher().publish("t1")
    assert names_in(shop.root / "t1/.partial") == set()
    assert "20200101T000000Z" not in names_in(shop.root / "t1/snapshots")
    assert listed(shop) == ["a1"]


async def test_patched_indices_are_the_same_as_new_ones_byte_by_byte(shop, publisher, make_deb):
    target = await shop.add_target("t1", ["amd64", "arm64"])
    for package, version, architecture in (
        ("b1", "1.0", "amd64"),
        ("a1", "1.0", "all"),
        ("c1", "1.0", "arm64"),
        ("a1", "2.0", "amd64"),
        ("b1", "0.9", "amd64"),
    ):
        await shop.add_build(target, make_deb(package, version, architecture))
        await publisher.publish("t1")
    patched = tree(shop)
    assert await publisher.behind() == []
    shutil.rmtree(shop.root)
    assert await publisher.behind() == ["t1"]
    assert await shop.publisher().publish("t1") is None
    assert tree(shop) == patched
    assert len(patched) == 5


async def test_a_damaged_cache_is_not_used(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    for path in (shop.root / "t1/.cache").glob("*.txt"):
        path.write_bytes(b"")
    await shop.add_build(target, make_deb("a2", "1.0"))
    await publisher.publish("t1")
    assert listed(shop) == ["a1", "a2"]
    (shop.root / "t1/.cache/state.json").write_text('{"format": 1, "generation": []}')
    await shop.add_build(target, make_deb("a3", "1.0"))
    await publisher.publish("t1")
    assert listed(shop) == ["a1", "a2", "a3"]


async def test_a_changed_policy_is_not_mixed_with_what_was_made_under_the_last(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await shop.add_build(target, make_deb("a1", "2.0"))
    await publisher.publish("t1")
    await shop.add_build(target, make_deb("b1", "1.0"))
    await shop.publisher(ArchivePolicy(versions_listed=2)).publish("t1")
    assert listed(shop) == ["a1", "a1", "b1"]


async def test_a_database_that_was_put_back_to_an_earlier_time_wins_over_the_disk(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    _, generation = await shop.add_build(target, make_deb("lost", "1.0"))
    await publisher.publish("t1")
    async with shop.database.transaction() as connection:
        await connection.execute("DELETE FROM snapshot WHERE generation = $1", generation)
        await connection.execute("DELETE FROM archive_binary WHERE generation = $1", generation)
        await connection.execute("UPDATE archive SET wanted_generation = $1, published_generation = $1", generation - 1)
    assert await publisher.publish("t1") is None
    assert listed(shop) == ["a1"]
    await shop.add_build(target, make_deb("b1", "1.0"))
    await publisher.publish("t1")
    assert listed(shop) == ["a1", "b1"]


async def test_a_missing_blob_stops_the_publication_and_is_named(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await publisher.publish("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    shutil.rmtree(shop.data / "blobs")
    with pytest.raises(DeborchError, match=r"a1_1\.0_amd64\.deb"):
        await publisher.publish("t1")
    assert listed(shop) == []


async def test_generations_only_go_forward(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    async with shop.database.connection() as connection:
        head = await shop.contents.head(connection, "t1", base_generation=0, base="")
    with pytest.raises(DeborchError) as refused:
        async with shop.database.transaction() as connection:
            await shop.contents.complete(connection, head, snapshot="20200101T000000Z", packages=0)
    assert refused.value.code is ErrorCode.CONFLICT


async def test_an_archive_that_is_reached_by_another_address_says_so_at_once(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    assert await publisher.behind() == []
    moved = shop.publisher(base_url="http://new.example")
    assert await moved.behind() == ["t1"]
    assert await moved.publish("t1") is None
    assert "URIs: http://new.example/archives/t1\n" in (shop.root / "t1" / "t1.sources").read_text()
    assert await moved.behind() == []


async def test_a_stray_file_among_the_snapshots_is_swept_away_like_a_directory(shop, publisher, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    await publisher.publish("t1")
    stray = shop.root / "t1" / "snapshots" / "note.txt"
    stray.write_text("left by somebody")
    await shop.add_build(target, make_deb("b1", "1.0"))
    await shop.publisher().publish("t1")
    assert not stray.exists()
    assert listed(shop) == ["a1", "b1"]
