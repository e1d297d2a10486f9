"""Time, version and metadata of commits; what mmdebstrap is told."""

from pathlib import Path

import pytest

from deb_bootc_compose.gather.lock import Lock, LockedPackage
from deb_bootc_compose.ostree.committing import commit_metadata
from deb_bootc_compose.ostree.epoch import newest_package_s
from deb_bootc_compose.ostree.rootfs import mmdebstrap_command
from deb_bootc_compose.ostree.version import next_version


@pytest.mark.parametrize(
    ("asked", "prefix", "before", "version"),
    [
        ("7", "13", "13.4", "7"),
        (None, "13", None, "13.0"),
        (None, "13", "13.9", "13.10"),
        (None, "14", "13.9", "14.0"),
        (None, None, None, "20261127.0"),
        (None, None, "20261127.2", "20261127.3"),
    ],
)
def test_a_version_is_as_asked_for_or_follows_that_of_the_commit_before(asked, prefix, before, version):
    assert next_version(asked, prefix, before, 1_795_737_600) == version


def test_the_time_of_a_commit_is_that_of_the_newest_package(tmp_path):
    for name, built in (("a", 1_700_000_000), ("b", 1_800_000_000)):
        header = b"debian-binary".ljust(16) + str(built).encode().ljust(12) + b"0     0     100644  4         `\n2.0\n"
        (tmp_path / name).write_bytes(b"!<arch>\n" + header)
    (tmp_path / "no-archive").write_bytes(b"x" * 100)
    assert newest_package_s(sorted(tmp_path.iterdir())) == 1_800_000_000


def test_metadata_says_what_is_in_the_commit_and_what_it_was_made_from():
    metadata = commit_metadata(
        version="13.1",
        target="server.amd64",
        treefile_digest="t",
        lock_sha256="l",
        packages=[("hello", "2.10", "amd64")],
        sources={"hello": "2.10"},
        more={"x.team": "core", "x.list": [1]},
    )
    assert metadata["version"] == "13.1"
    assert metadata["deb-bootc-compose.packages"] == '[["hello","2.10","amd64"]]'
    assert (metadata["x.team"], metadata["x.list"]) == ("core", "[1]")


def test_mmdebstrap_gets_exact_versions_from_the_signed_repository_alone(treefile):
    package = LockedPackage(
        name="hello",
        version="1:2.10-5",
        architecture="amd64",
        sha256="0" * 64,
        size_bytes=1,
        installed_kib=1,
        source="hello",
        source_version="1:2.10-5",
        repository="main",
        path="pool/hello.deb",
    )
    lock = Lock(suite="trixie", architecture="amd64", packages=(package,))
    options = ("path-exclude=/usr/share/man/*",)
    command = mmdebstrap_command(
        Path("/r/root"), Path("/g/repository"), lock, treefile(dpkg_options=options), Path("/r/pre seeds")
    )
    assert "--include=hello:amd64=1:2.10-5" in command
    assert command[-1] == "deb [signed-by=/g/repository/key.asc] file:///g/repository ./"
    assert "--variant=essential" in command
    assert "--dpkgopt=path-exclude=/usr/share/man/*" in command
    assert "--essential-hook=upload '/r/pre seeds' /run/preseeds" in command
