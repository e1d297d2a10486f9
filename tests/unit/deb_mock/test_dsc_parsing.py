"""A .dsc is read, or refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sources import check_file_name, parse_dsc

SUM = "a" * 64
GOOD = f"""\
Format: 3.0 (quilt)
Source: hello
Binary: hello, hello-doc
Architecture: any all
Version: 1:2.10-3
Maintainer: Somebody <s@example.org>
Build-Depends: debhelper-compat (= 13),
 texinfo
Checksums-Sha256:
 {SUM} 725946 hello_2.10.orig.tar.gz
 {SUM} 12688 hello_2.10-3.debian.tar.xz
Files:
 {"b" * 32} 725946 hello_2.10.orig.tar.gz
 {"b" * 32} 12688 hello_2.10-3.debian.tar.xz
"""


def refused(text):
    with pytest.raises(DeborchError) as caught:
        parse_dsc(text.encode() if isinstance(text, str) else text, file_name="x.dsc")
    assert "x.dsc" in caught.value.message
    assert caught.value.hint
    return caught.value


def test_all_that_matters_is_read():
    source = parse_dsc(GOOD.encode())
    assert (source.name, source.version, source.format) == ("hello", "1:2.10-3", "3.0 (quilt)")
    assert source.architectures == ("any", "all")
    assert source.binaries == ("hello", "hello-doc")
    assert source.relations == {"Build-Depends": "debhelper-compat (= 13), texinfo"}
    assert [(file.name, file.size_bytes) for file in source.files] == [
        ("hello_2.10.orig.tar.gz", 725946),
        ("hello_2.10-3.debian.tar.xz", 12688),
    ]
    assert source.dsc_name == "hello_2.10-3.dsc"
    assert not source.is_signed


def test_inside_a_signature_it_reads_the_same():
    begin, end = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n", "-----BEGIN PGP SIGNATURE-----\n\nx\n"
    source = parse_dsc(f"{begin}{GOOD}\n{end}-----END PGP SIGNATURE-----\n".encode())
    assert source.is_signed
    assert source.files == parse_dsc(GOOD.encode()).files


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Source: hello", "Source: Hello", "'Hello'"),
        ("Source: hello", "Source: ../hello", "'../hello'"),
        ("Version: 1:2.10-3", "Version: not a version", "'not a version'"),
        ("Format: 3.0 (quilt)", "Format: 3.0 (git)", "'3.0 (git)'"),
        ("Checksums-Sha256:", "Checksums-Sha1:", "Checksums-Sha256"),
        ("Version: 1:2.10-3\n", "", "Version"),
        (SUM, "a" * 63, "malformed"),
        ("725946", "-1", "malformed"),
        (".tar.", ".zip.", "no tarball"),
        ("hello_2.10-3.debian.tar.xz", "hello_2.10.orig.tar.gz", "twice"),
    ],
)
def test_what_is_wrong_is_named(before, after, said):
    error = refused(GOOD.replace(before, after))
    assert error.code is ErrorCode.INVALID_SOURCE
    assert said in error.message


@pytest.mark.parametrize(
    "name", ["../x.tar.gz", "/etc/x.tar.gz", ".x.tar.gz", "-x.tar.gz", "a/b.tar.gz", "x\x00.tar.gz"]
)
def test_file_names_that_leave_their_directory_are_refused(name):
    error = refused(GOOD.replace("hello_2.10.orig.tar.gz", name))
    assert error.code in (ErrorCode.UNSAFE_PATH, ErrorCode.INVALID_SOURCE)


def test_too_large_and_binary_input_is_refused():
    refused(b"x" * (2 << 20))
    refused(b"\xff\xfe\x00")
    refused(b"")


@given(st.text(max_size=300))
def test_any_text_gives_a_source_or_an_error_of_ours(text):
    try:
        parse_dsc(text.encode("utf-8", "surrogatepass"))
    except DeborchError as error:
        assert error.hint


@given(st.text(min_size=1, max_size=50))
def test_a_name_that_passes_has_no_way_out(name):
    try:
        check_file_name(name, "test")
    except DeborchError:
        return
    assert "/" not in name
    assert name[0] not in ".-"
    assert name.isprintable()
