"""Archive states, cached downloads, memory or disk, and whose tools make a base."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from deb_mock.archives.release import is_expired, read_releases, repository_urls, state_of
from deb_mock.bases.bootstrap import needs_bootstrap
from deb_mock.buildroots.scratch import ScratchChoice
from deb_mock.engine_config import Bootstrap, EngineConfig, Scratch
from deb_mock.layers.debs import DebCache
from deb_mock.model import ExtraRepository
from deborch_shared.apt.releases import release_url

GIB = 1 << 30


def entry(content, name="x_1_all.deb"):
    return (name, str(len(content)), f"SHA256:{hashlib.sha256(content).hexdigest()}")


@pytest.fixture
def cache(tmp_path):
    return DebCache(tmp_path / "debs", tmp_path / "records")


@pytest.fixture
def archives(tmp_path):
    (tmp_path / "archives").mkdir()
    return tmp_path / "archives"


@pytest.fixture
def choice(tmp_path):
    def make(free_bytes, scratch=Scratch.AUTO, tmpfs_bytes=8 * GIB):
        meminfo = tmp_path / "meminfo"
        meminfo.write_text(f"MemTotal: 1 kB\nMemAvailable: {free_bytes // 1024} kB\n")
        places = {"state_dir": tmp_path, "cache_dir": tmp_path / "cache"}
        return ScratchChoice(EngineConfig(**places, tmpfs_bytes=tmpfs_bytes, scratch=scratch), meminfo)

    return make


async def test_what_was_downloaded_once_is_offered_to_the_next(cache, archives):
    (archives / "x_1_all.deb").write_bytes(b"content")
    assert await cache.take_in([entry(b"content")], archives) == 1
    assert await cache.take_in([entry(b"content")], archives) == 0
    async with cache.offered([entry(b"content"), entry(b"unknown", "y_1_all.deb")]) as offered:
        assert [path.name for path in offered.iterdir()] == ["x_1_all.deb"]
        assert (offered / "x_1_all.deb").read_bytes() == b"content"
    assert not offered.exists()


async def test_a_download_that_is_not_what_apt_asked_for_is_not_kept(cache, archives):
    (archives / "x_1_all.deb").write_bytes(b"forged!")
    assert await cache.take_in([entry(b"content")], archives) == 0
    assert cache.all() == []


async def test_a_damaged_file_of_the_cache_is_dropped(cache, archives):
    (archives / "x_1_all.deb").write_bytes(b"content")
    await cache.take_in([entry(b"content")], archives)
    cache.all()[0].write_bytes(b"damaged")
    async with cache.offered([entry(b"content")]) as offered:
        assert list(offered.iterdir()) == []
    assert cache.all() == []


async def test_links_and_names_that_leave_the_directory_are_not_taken_in(cache, archives, tmp_path):
    (tmp_path / "secret").write_bytes(b"content")
    (archives / "x_1_all.deb").symlink_to(tmp_path / "secret")
    assert await cache.take_in([entry(b"content"), entry(b"content", "../secret")], archives) == 0


def test_the_state_of_archives_is_in_their_release_files_in_any_order():
    assert state_of([b"a", b"b"]) == state_of([b"b", b"a"])
    assert state_of([b"a", b"b"]) != state_of([b"a", b"c"])
    assert state_of([]) == ""


def test_release_files_are_where_apt_looks_for_them():
    assert release_url("http://x/debian/", "sid") == "http://x/debian/dists/sid/InRelease"
    assert release_url("http://x/flat", "./") == "http://x/flat/./InRelease"
    stanza = "Types: deb\nURIs: http://x/a file:/srv/b\nSuites: one two\nComponents: main\n"
    assert len(repository_urls([ExtraRepository("x", stanza)])) == 4


async def test_a_directory_is_asked_without_apt_and_a_missing_one_is_no_answer(tmp_path):
    (tmp_path / "InRelease").write_bytes(b"here")
    assert await read_releases([f"file:{tmp_path}/InRelease"], tmp_path, {}) == (b"here",)
    assert await read_releases([f"file:{tmp_path}/none"], tmp_path, {}) is None


@pytest.mark.parametrize(
    ("content", "expired"),
    [
        (b"Date: x\nValid-Until: Thu, 01 Jan 2026 00:00:00 UTC\n", True),
        (b"Valid-Until: Sun, 01 Jan 2040 00:00:00 UTC\n", False),
        (b"Valid-Until: whenever\n", True),
        (b"Date: x\n", False),
    ],
)
def test_an_expired_archive_is_left_to_apt_to_judge(content, expired):
    assert is_expired(content, datetime(2026, 6, 1, tzinfo=UTC)) is expired


@pytest.mark.parametrize(
    ("suite", "apt", "setting", "expected"),
    [
        ("bookworm", "2.6.1", Bootstrap.AUTO, False),
        ("trixie", "2.6.1", Bootstrap.AUTO, False),
        ("sid", "2.6.1", Bootstrap.AUTO, True),
        ("sid", "3.0.3", Bootstrap.AUTO, False),
        ("forky-backports", "2.6.1", Bootstrap.AUTO, True),
        ("sid", "2.6.1", Bootstrap.NEVER, False),
        ("bookworm", "3.0.3", Bootstrap.ALWAYS, True),
    ],
)
def test_the_suites_own_tools_are_used_where_the_hosts_are_too_old(suite, apt, setting, expected):
    assert needs_bootstrap(suite, {"apt": apt, "dpkg": "1.22.6"}, setting) is expected


def test_a_source_that_was_never_built_goes_to_memory_if_some_is_free(choice):
    assert choice(16 * GIB).bytes_for("hello") == 8 * GIB
    assert choice(2 * GIB).bytes_for("hello") is None


def test_a_source_that_needed_more_than_fits_goes_to_disk(choice):
    chosen = choice(64 * GIB)
    chosen.remember("linux", 7 * GIB)
    assert chosen.bytes_for("linux") is None
    chosen.remember("hello", GIB)
    assert chosen.bytes_for("hello") == 8 * GIB


def test_only_the_last_builds_count(choice):
    chosen = choice(64 * GIB)
    for size_bytes in (7 * GIB, *[GIB] * 5):
        chosen.remember("x1", size_bytes)
    assert chosen.expected_bytes("x1") == GIB


def test_the_setting_decides_where_it_says_so(choice):
    assert choice(0, scratch=Scratch.TMPFS).bytes_for("hello") == 8 * GIB
    assert choice(64 * GIB, scratch=Scratch.DISK).bytes_for("hello") is None
    assert choice(64 * GIB, tmpfs_bytes=None).bytes_for("hello") is None


def test_a_name_that_leaves_the_directory_is_not_remembered(choice, tmp_path):
    choice(GIB).remember("../evil", 1)
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_broken_history_is_no_history(choice, tmp_path):
    chosen = choice(16 * GIB)
    chosen.remember("hello", 1)
    (tmp_path / "cache" / "sizes" / "hello").write_text(json.dumps({"x": 1}))
    assert chosen.expected_bytes("hello") is None
