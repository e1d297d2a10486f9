"""What control files may say, and what the indices make of them."""

import pytest

from deborch_hub.domain.packages import (
    ListedBinary,
    ListedSource,
    PoolFile,
    binary_from_control,
    binary_stanza,
    newest,
    parse_stanza,
    source_stanza,
)
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256
from deborch_shared.versions import sort_key

CONTROL = """\
Version: 1:2.10-3
Package: hello
Source: greetings (2.10-3.1)
Architecture: amd64
Filename: ../../etc/passwd
SHA256: 00
Description: says hello
 More of it.
 .
 The end.
"""
DIGEST = Sha256("ab" * 32)
OTHER = Sha256("cd" * 32)


def binary(version, architecture="amd64", package="hello"):
    return ListedBinary(
        package,
        version,
        sort_key(version),
        architecture,
        udeb=False,
        control=f"Package: {package}\nVersion: {version}",
        file=PoolFile(f"{package}.deb", DIGEST, 7),
    )


def test_a_control_file_becomes_a_stanza_that_starts_with_its_package():
    package = binary_from_control(CONTROL, "hello_2.10-3_amd64.deb")
    assert (package.package, package.version, package.architecture) == ("hello", "1:2.10-3", "amd64")
    assert package.source == "greetings"
    assert not package.udeb
    assert package.control.startswith("Package: hello\nVersion: 1:2.10-3\nSource:")
    assert package.control.endswith("\n More of it.\n .\n The end.")


def test_what_the_archive_says_of_a_file_is_never_taken_from_the_file():
    package = binary_from_control(CONTROL, "hello_2.10-3_amd64.deb")
    assert "passwd" not in package.control
    listed = ListedBinary("hello", "1:2.10-3", b"", "amd64", False, package.control, PoolFile("h.deb", DIGEST, 9))
    assert binary_stanza(listed).decode().endswith(f"\nFilename: pool/ab/{DIGEST}/h.deb\nSize: 9\nSHA256: {DIGEST}\n\n")


def test_a_udeb_is_known_by_its_name():
    assert binary_from_control(CONTROL, "hello_2.10-3_amd64.udeb").udeb


@pytest.mark.parametrize(
    "file_name",
    [
        "hello_2.10-4_amd64.deb",
        "hello_1:2.10-3_amd64.deb",
        "hello_2.10-3_arm64.deb",
        "hallo_2.10-3_amd64.deb",
        "../hello_2.10-3_amd64.deb",
        "hello_2.10-3_amd64.rpm",
        "deb",
    ],
)
def test_a_file_name_that_does_not_fit_its_content_is_refused(file_name):
    with pytest.raises(DeborchError) as refused:
        binary_from_control(CONTROL, file_name)
    assert refused.value.code is ErrorCode.INVALID_INPUT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Package: hello", "Package: Hello"),
        ("Package: hello", "Package: h/ello"),
        ("Package: hello", "Pckage: hello"),
        ("Version: 1:2.10-3", "Version: two"),
        ("Version: 1:2.10-3", "Version: 1.0 2"),
        ("Architecture: amd64", "Architecture: amd64 arm64"),
        ("Source: greetings (2.10-3.1)", "Source: Greetings"),
        ("Description: says hello", "Description: says hello\n\nPackage: other"),
        ("Description: says hello", "Description: says hello\npackage: other"),
        ("Description: says hello", "Description: says\r\n hello"),
        ("Description: says hello", "Description: says\x00hello"),
        ("Description: says hello", "Description: x\n \n y"),
        ("Description: says hello", "no field"),
    ],
)
def test_a_control_file_that_policy_does_not_allow_is_refused(old, new):
    with pytest.raises(DeborchError) as refused:
        binary_from_control(CONTROL.replace(old, new), "hello_2.10-3_amd64.deb")
    assert refused.value.code is ErrorCode.INVALID_INPUT


def test_a_control_file_that_starts_with_a_continuation_is_refused():
    with pytest.raises(DeborchError):
        parse_stanza(" continued\nPackage: x")


def test_the_newest_version_is_the_one_that_dpkg_calls_newest():
    versions = ["1.0", "1.0~rc1", "1.10", "1.9", "1:0.1", "1.10-1"]
    assert [one.version for one in newest(map(binary, versions), 3)] == ["1:0.1", "1.10-1", "1.10"]


def test_of_equal_versions_the_one_of_the_architecture_is_listed():
    assert newest([binary("1.0", "all"), binary("1.0", "amd64")], 1)[0].architecture == "amd64"


SIGNED = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Format: 3.0 (quilt)
Source: hello
Binary: hello
Version: 2.10-3
Build-Depends: debhelper-compat (= 13)
Checksums-Sha1:
 aaaa 12 hello_2.10.orig.tar.gz
Files:
 bbbb 12 hello_2.10.orig.tar.gz

-----BEGIN PGP SIGNATURE-----

xyz
-----END PGP SIGNATURE-----
"""


@pytest.mark.parametrize("text", [SIGNED, SIGNED.split("\n\n", 1)[1].split("\n-----", maxsplit=1)[0]])
def test_a_source_stanza_names_every_file_by_its_sha256(text):
    files = (PoolFile("hello_2.10-3.dsc", DIGEST, 5), PoolFile("hello_2.10.orig.tar.gz", OTHER, 12))
    listed = ListedSource("hello", "2.10-3", b"", text, DIGEST, files)
    assert source_stanza(listed).decode() == (
        "Package: hello\nFormat: 3.0 (quilt)\nBinary: hello\nVersion: 2.10-3\n"
        f"Build-Depends: debhelper-compat (= 13)\nDirectory: pool/ab/{DIGEST}\nChecksums-Sha256:\n"
        f" {DIGEST} 5 hello_2.10-3.dsc\n {OTHER} 12 hello_2.10.orig.tar.gz\n\n"
    )
