"""Archives as apt sees them."""

import gzip
import hashlib
import shutil

import pytest

from deborch_hub.archives import ArchivePolicy, GpgSigner


@pytest.fixture
def publish(shop):
    publisher = shop.publisher()
    return publisher.publish


def names_in(directory):
    return {path.name for path in directory.iterdir()}


def uris(text, path):
    return "".join(f"URIs: {path}\n" if line.startswith("URIs:") else line for line in text.splitlines(keepends=True))


async def test_a_new_target_has_an_empty_signed_archive_that_apt_accepts(shop, publish, apt):
    await shop.add_target("t1")
    published = await publish("t1")
    assert (published.event.generation, published.event.packages) == (1, 0)
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()


async def test_apt_downloads_and_verifies_a_published_package(shop, publish, apt, make_deb):
    target = await shop.add_target("t1")
    build, generation = await shop.add_build(target, make_deb("hello", "1.0"), make_deb("hello-data", "1.0", "all"))
    published = await publish("t1")
    assert (published.event.generation, published.completed_builds) == (generation, [build])
    assert published.event.packages == 2
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    assert apt.candidate("hello-data") == "1.0"
    apt.run("apt-get", "install", "--download-only", "--yes", "hello", "hello-data")
    assert names_in(apt.root / "cache/archives") >= {"hello-data_1.0_all.deb", "hello_1.0_amd64.deb"}


async def test_apt_reads_an_index_of_many_shards(shop, publish, apt, make_deb):
    """Each shard is a gzip member of its own."""
    target = await shop.add_target("t1")
    file = await shop.add_deb(make_deb("seed", "1.0"))
    await add_copies(shop, target, file, 2_000)
    await publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    assert apt.candidate("copy0") == "1.0"
    assert apt.candidate("copy1999") == "1.0"
    assert len(apt.run("apt-cache", "pkgnames", "copy").stdout.split()) == 2_000


async def add_copies(shop, target, file, count):
    """`count` packages that differ in name only, all in the file of one."""
    async with shop.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO binary_package "
            "(package, version, version_key, architecture, source, control, file_name, sha256, size_bytes) "
            "SELECT 'copy' || n, '1.0', '\\x00', 'amd64', 'seed', replace($1, 'seed', 'copy' || n), "
            "'copy' || n || '.deb', $2, $3 FROM generate_series(0, $4 - 1) AS n",
            file.binary.control,
            bytes.fromhex(file.sha256),
            file.size_bytes,
            count,
        )
        await connection.execute(
            "INSERT INTO archive_binary (archive_id, package, version, architecture, binary_package_id, generation) "
            "SELECT a.id, package, version, architecture, b.id, 2 FROM binary_package b, archive a "
            "WHERE target_id = $1",
            target,
        )
        await connection.execute("UPDATE archive SET wanted_generation = 2 WHERE target_id = $1", target)


@pytest.mark.parametrize("file", ["InRelease", "main/binary-amd64/Packages.gz", "hello_1.0_amd64.deb"])
async def test_apt_refuses_what_was_tampered_with(shop, publish, apt, make_deb, tmp_path, file):
    await shop.add_build(await shop.add_target("t1"), make_deb("hello", "1.0"))
    await publish("t1")
    copy = tmp_path / "copy"
    shutil.copytree(shop.root / "t1", copy, symlinks=True)
    tamper(copy, file)
    apt.use(uris((shop.root / "t1/t1.sources").read_text(), f"file:{copy}"))
    if file.endswith(".deb"):
        apt.update()
        refused = apt.run("apt-get", "install", "--download-only", "--yes", "hello", check=False)
    else:
        refused = apt.update(check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "Hash Sum mismatch" in said or "BADSIG" in said or "signatures were invalid" in said, said


def tamper(copy, file):
    found = next(copy.rglob(file) if "/" not in file else iter([copy / "dists/t1" / file])).resolve()
    content = found.read_bytes()
    if file == "InRelease":
        changed = content.replace(b"Label: t1", b"Label: t2")
    elif file.endswith("Packages.gz"):
        changed = gzip.compress(gzip.decompress(content).replace(b"misc", b"oops"), 6, mtime=0)
        found = next(path for path in (found.parent / "by-hash/SHA256").iterdir())
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
    assert changed != content
    found.unlink()
    found.write_bytes(changed)


async def test_apt_refuses_an_archive_signed_by_another_key(shop, publish, apt, make_deb, tmp_path):
    await shop.add_target("t1")
    await publish("t1")
    stranger = await GpgSigner.open(tmp_path / "strangers-keys", "stranger")
    trusted = (shop.root / "t1/t1.sources").read_text()
    head = trusted[: trusted.index("Signed-By:")]
    armoured = "".join(f" {line or '.'}\n" for line in stranger.public_key.splitlines())
    apt.use(f"{head}Signed-By:\n{armoured}")
    assert "NO_PUBKEY" in apt.update(check=False).stderr


async def test_the_newest_version_by_dpkgs_order_is_the_one_listed(shop, publish, apt, make_deb):
    target = await shop.add_target("t1")
    for version in ("1.9", "1.10", "1.10~rc1"):
        await shop.add_build(target, make_deb("hello", version))
        await publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    assert apt.versions("hello") == ["1.10"]


async def test_more_versions_are_listed_if_the_policy_says_so(shop, apt, make_deb):
    target = await shop.add_target("t1")
    for version in ("1.9", "1.10", "1.8"):
        await shop.add_build(target, make_deb("hello", version))
    await shop.publisher(ArchivePolicy(versions_listed=2)).publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    assert apt.versions("hello") == ["1.10", "1.9"]


async def test_snapshots_stay_readable_after_newer_publications(shop, publish, apt, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("hello", "1.0"))
    first = (await publish("t1")).event.snapshot
    await shop.add_build(target, make_deb("hello", "2.0"))
    await publish("t1")
    apt.use(uris((shop.root / "t1/t1.sources").read_text(), f"{shop.base_url}/archives/t1/snapshots/{first}"))
    apt.update()
    assert apt.candidate("hello") == "1.0"
    apt.run("apt-get", "install", "--download-only", "--yes", "hello")
    assert (apt.root / "cache/archives/hello_1.0_amd64.deb").is_file()


async def test_snapshots_are_kept_by_policy(shop, make_deb):
    target = await shop.add_target("t1")
    publisher = shop.publisher(ArchivePolicy(keep_snapshots=2))
    names = []
    for version in ("1", "2", "3"):
        await shop.add_build(target, make_deb("hello", version))
        names.append((await publisher.publish("t1")).event.snapshot)
    assert names_in(shop.root / "t1/snapshots") == set(names[1:])
    rows = await shop.database.fetch("SELECT name FROM snapshot ORDER BY name")
    assert [row["name"] for row in rows] == names[1:]


async def test_a_client_in_mid_update_still_gets_the_index_that_it_was_promised(shop, make_deb):
    target = await shop.add_target("t1")
    publisher = shop.publisher(ArchivePolicy(by_hash_generations=2))
    promised = []
    for version in ("1", "2", "3", "4"):
        await shop.add_build(target, make_deb("hello", version))
        await publisher.publish("t1")
        index = shop.root / "t1/dists/t1/main/binary-amd64/Packages.gz"
        promised.append(hashlib.sha256(index.read_bytes()).hexdigest())
    offered = {path.name for path in (shop.root / "t1/dists/t1/main/binary-amd64/by-hash/SHA256").iterdir()}
    assert offered == set(promised[1:])


async def test_apt_fetches_a_source_package(shop, publish, apt):
    tarball = b"not really a tarball"
    dsc = (
        f"Format: 1.0\nSource: hello\nBinary: hello\nArchitecture: any\nVersion: 1.0\n"
        f"Maintainer: Tests <tests@example.org>\nFiles:\n {hashlib.md5(tarball).hexdigest()} {len(tarball)} "  # noqa: S324
        f"hello_1.0.tar.gz\n"
    ).encode()
    version_id = await shop.add_source("hello", "1.0", dsc, {"hello_1.0.tar.gz": tarball})
    await shop.add_build(await shop.add_target("t1"), source_version_id=version_id)
    await publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    apt.run("apt-get", "source", "--download-only", "hello")
    assert (apt.root / "hello_1.0.tar.gz").read_bytes() == tarball
    assert (apt.root / "hello_1.0.dsc").read_bytes() == dsc


async def test_udebs_are_kept_out_of_what_a_normal_system_sees(shop, publish, apt, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("hello", "1.0"), make_deb("hello-udeb", "1.0", suffix="udeb"))
    await publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    assert apt.candidate("hello-udeb") == ""
    index = shop.root / "t1/dists/t1/main/debian-installer/binary-amd64/Packages.gz"
    assert b"Package: hello-udeb\n" in gzip.decompress(index.read_bytes())


async def test_a_second_publication_in_the_same_second_looks_new_over_http(shop, publish, apt, make_deb):
    target = await shop.add_target("t1")
    await publish("t1")
    apt.use((shop.root / "t1/t1.sources").read_text())
    apt.update()
    await shop.add_build(target, make_deb("hello", "1.0"))
    await publish("t1")
    apt.update()
    assert apt.candidate("hello") == "1.0"


async def test_the_directory_is_an_archive_to_any_web_server_and_to_file(shop, publish, apt, make_deb):
    await shop.add_build(await shop.add_target("t1"), make_deb("hello", "1.0"))
    await publish("t1")
    apt.use(uris((shop.root / "t1/t1.sources").read_text(), f"file:{shop.root}/t1"))
    apt.update()
    apt.run("apt-get", "download", "hello")
    assert (apt.root / "hello_1.0_amd64.deb").is_file()
