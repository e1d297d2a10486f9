"""A .buildinfo as a plan: what is taken from it, and what is refused."""

from pathlib import Path

import pytest

from deb_mock.reproducibility.binary_only import changed_version
from deb_mock.reproducibility.buildinfo import parse_buildinfo, read_buildinfo
from deb_mock.reproducibility.comparison import compare
from deb_mock.reproducibility.rebuild import snapshot_repository
from deborch_shared.errors import DeborchError, ErrorCode

BUILDINFO = """\
Format: 1.0
Source: hello
Binary: hello hello-dbgsym
Architecture: amd64
Version: 2.10-3
Checksums-Md5:
 5b96b1ea0d4a4b8c0e9e5a5c7f3e2d1c 52980 hello_2.10-3_amd64.deb
Checksums-Sha256:
 46c3a2b1d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcde 12468 hello-dbgsym_2.10-3_amd64.deb
 1b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081929 52980 hello_2.10-3_amd64.deb
Build-Origin: Debian
Build-Architecture: amd64
Build-Date: Mon, 26 Dec 2022 16:30:00 +0100
Build-Path: /build/reproducible-path/hello-2.10
Installed-Build-Depends:
 autoconf (= 2.71-3),
 libc6 (= 2.36-9),
 linux-libc-dev:arm64 (= 6.1.0-1)
Environment:
 DEB_BUILD_OPTIONS="parallel=4 nocheck"
 DEB_BUILD_PROFILES="nodoc nocheck"
 LANG="C.UTF-8"
 LD_PRELOAD="/tmp/evil.so"
 PATH="/tmp"
 SOURCE_DATE_EPOCH="1672061400"
 ODD="with \\"quotes\\""
"""


def refused(text):
    with pytest.raises(DeborchError) as caught:
        parse_buildinfo(text.encode())
    assert caught.value.code in (ErrorCode.INVALID_SOURCE, ErrorCode.UNSAFE_PATH)
    return caught.value.message


def test_everything_that_a_rebuild_needs_is_read():
    info = parse_buildinfo(BUILDINFO.encode())
    assert (info.source, info.source_version, info.version, info.mode) == ("hello", "2.10-3", "2.10-3", "any")
    assert list(info.checksums) == ["hello-dbgsym_2.10-3_amd64.deb", "hello_2.10-3_amd64.deb"]
    assert [each.for_apt() for each in info.installed] == [
        "autoconf=2.71-3",
        "libc6=2.36-9",
        "linux-libc-dev:arm64=6.1.0-1",
    ]
    assert info.build_path == "/build/reproducible-path/hello-2.10"
    assert info.parallel == 4
    assert info.profiles == ("nodoc", "nocheck")


def test_variables_are_taken_but_for_those_that_change_which_programs_run():
    variables = parse_buildinfo(BUILDINFO.encode()).environment
    assert set(variables) == {"DEB_BUILD_OPTIONS", "DEB_BUILD_PROFILES", "LANG", "SOURCE_DATE_EPOCH", "ODD"}
    assert variables["ODD"] == 'with "quotes"'


def test_a_signature_around_it_makes_no_difference():
    signed = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{BUILDINFO}\n"
    signed += "-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n"
    assert parse_buildinfo(signed.encode()) == parse_buildinfo(BUILDINFO.encode())


@pytest.mark.parametrize(
    ("built", "mode"), [("amd64", "any"), ("all", "all"), ("amd64 all", "any+all"), ("amd64 all source", "any+all")]
)
def test_the_mode_follows_from_the_architectures(built, mode):
    text = BUILDINFO.replace("\nArchitecture: amd64", f"\nArchitecture: {built}")
    assert parse_buildinfo(text.encode()).mode == mode


def test_a_binnmu_keeps_the_version_of_its_source():
    text = BUILDINFO.replace("Source: hello\n", "Source: hello (2.10-3)\n").replace(
        "Version: 2.10-3", "Version: 2.10-3+b1"
    )
    info = parse_buildinfo(text.encode())
    assert (info.source_version, info.version) == ("2.10-3", "2.10-3+b1")


def test_a_binnmu_is_repeated_with_its_changelog_entry_word_for_word():
    changes = (
        "Binary-Only-Changes:\n hello (2.10-3+b1) sid; urgency=low, binary-only=yes\n .\n   * Rebuild for x\n .\n"
        "  -- amd64 Build Daemon <buildd@example.org>  Mon, 26 Dec 2022 16:30:00 +0100\nBuild-Origin"
    )
    text = BUILDINFO.replace("Source: hello\n", "Source: hello (2.10-3)\n").replace(
        "Version: 2.10-3", "Version: 2.10-3+b1"
    )
    changed = changed_version(parse_buildinfo(text.replace("Build-Origin", changes).encode()))
    assert (changed.binnmu, changed.timestamp_s) == (1, 1672068600)
    assert changed.entry == (
        "hello (2.10-3+b1) sid; urgency=low, binary-only=yes\n\n  * Rebuild for x\n\n"
        " -- amd64 Build Daemon <buildd@example.org>  Mon, 26 Dec 2022 16:30:00 +0100\n\n"
    )
    assert changed_version(parse_buildinfo(BUILDINFO.encode())) is None
    with pytest.raises(DeborchError):
        changed_version(parse_buildinfo(text.encode()))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Source: hello", "Source: ../hello", "no source package"),
        ("Version: 2.10-3", "Version: 2 10", "no source package"),
        ("\nArchitecture: amd64", "\nArchitecture: source", "no architecture"),
        ("\nArchitecture: amd64", "\nArchitecture: arm64", "cross build, on amd64 for arm64"),
        ("hello_2.10-3_amd64.deb\nBuild-Origin", "../hello.deb\nBuild-Origin", "hello.deb"),
        ("Checksums-Sha256", "Checksums-Sha1", "no binary package"),
        ("autoconf (= 2.71-3)", "autoconf", "no exact version"),
    ],
)
def test_what_does_not_hold_is_refused(old, new, said):
    assert old in BUILDINFO
    assert said in refused(BUILDINFO.replace(old, new))


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DeborchError) as caught:
        read_buildinfo(tmp_path / "none.buildinfo")
    assert "none.buildinfo" in caught.value.message


def test_a_snapshot_is_taken_of_the_time_of_the_build():
    info = parse_buildinfo(BUILDINFO.encode())
    url = "https://snapshot.example.org/archive/debian/{timestamp}/"
    text = snapshot_repository(url, info, "bookworm", ("main",), Path("/keys.gpg")).deb822
    assert "URIs: https://snapshot.example.org/archive/debian/20221226T153000Z/\n" in text
    assert "Check-Valid-Until: no\n" in text
    assert "Signed-By: /keys.gpg\n" in text


def test_packages_are_the_same_only_if_both_builds_made_them_with_one_content():
    files = compare({"a.deb": "1", "b.deb": "2"}, {"a.deb": "1", "b.deb": "3", "c.deb": "4"})
    assert [(file.name, file.is_same) for file in files] == [("a.deb", True), ("b.deb", False), ("c.deb", False)]
