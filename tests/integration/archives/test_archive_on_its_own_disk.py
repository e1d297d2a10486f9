"""An archive directory on another file system than the blobs, and one with little room."""

import errno
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deborch_hub.archives.durable import Written
from deborch_shared.errors import DeborchError, ErrorCode

pytestmark = pytest.mark.root


@pytest.fixture
def archive_disk(shop) -> Iterator[Path]:
    """A tmpfs of sixteen mebibytes where the hub keeps its archives."""
    shop.root.mkdir()
    with mounted(shop.root):
        yield shop.root


@contextmanager
def mounted(directory: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def pool_files(root: Path) -> list[Path]:
    return [path for path in (root / "t1/pool").rglob("*") if path.is_file()]


async def test_blobs_of_another_file_system_are_copied_and_apt_verifies_them(shop, archive_disk, make_deb, apt):
    target = await shop.add_target("t1")
    deb = make_deb("a1", "1.0")
    await shop.add_build(target, deb)
    publisher = shop.publisher()
    await publisher.publish("t1")
    (copy,) = pool_files(archive_disk)
    assert copy.read_bytes() == deb.read_bytes()
    assert copy.stat().st_nlink == 1
    assert copy.stat().st_dev == archive_disk.stat().st_dev != shop.data.stat().st_dev
    apt.use((archive_disk / "t1/t1.sources").read_text())
    apt.update()
    apt.run("apt-get", "download", "a1")
    assert (apt.root / deb.name).read_bytes() == deb.read_bytes()


async def test_a_copy_that_a_killed_hub_left_half_written_is_made_anew(shop, archive_disk, make_deb):
    target = await shop.add_target("t1")
    deb = make_deb("a1", "1.0")
    await shop.add_build(target, deb)
    publisher = shop.publisher()
    await publisher.publish("t1")
    (copy,) = pool_files(archive_disk)
    copy.rename(copy.with_name(".partial"))
    copy.with_name(".partial").write_bytes(b"x" * 2 * deb.stat().st_size)
    (shop.root / "t1/current").unlink()
    for path in (shop.root / "t1/.cache").iterdir():
        path.unlink()
    await shop.database.execute("UPDATE archive SET published_generation = 0")
    await shop.database.execute("DELETE FROM snapshot")
    await shop.publisher().publish("t1")
    assert pool_files(archive_disk) == [copy]
    assert copy.read_bytes() == deb.read_bytes()


async def test_a_disk_too_full_for_a_copy_is_said_and_leaves_the_last_publication(shop, archive_disk, make_deb):
    target = await shop.add_target("t1")
    await shop.add_build(target, make_deb("a1", "1.0"))
    publisher = shop.publisher()
    await publisher.publish("t1")
    before = (archive_disk / "t1/dists/t1/InRelease").read_bytes()
    big = make_deb("big", "1.0", content=secrets.token_hex(12 << 20), compress="none")
    await shop.add_build(target, big)
    with pytest.raises(DeborchError) as refused:
        await publisher.publish("t1")
    assert refused.value.code is ErrorCode.DISK_FULL
    assert (archive_disk / "t1/dists/t1/InRelease").read_bytes() == before
    assert [path.name for path in pool_files(archive_disk)] == ["a1_1.0_amd64.deb"]
    assert list((archive_disk / "t1/.partial").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=64m", archive_disk], check=True)
    assert await publisher.publish("t1") is not None
    assert {path.name for path in pool_files(archive_disk)} == {"a1_1.0_amd64.deb", big.name}


def test_other_reasons_not_to_link_are_not_hidden(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(OSError, match=os.strerror(errno.EEXIST)):
        Written().link(tmp_path / "file", tmp_path / "file")
