import hashlib
from pathlib import Path

import pytest

from deborch_cli.source_package import read_source_package, read_suite_source
from deborch_shared.errors import DeborchError, ErrorCode

TARBALL = b"a tarball"


def write_source_package(directory: Path, *, file_name: str = "tiny_1.0.tar.xz", content: bytes = TARBALL) -> Path:
    digest = hashlib.sha256(TARBALL).hexdigest()
    if "/" not in file_name:
        (directory / file_name).write_bytes(content)
    dsc = directory / "tiny_1.0.dsc"
    dsc.write_text(
        "Format: 3.0 (native)\nSource: tiny\nBinary: tiny\nArchitecture: all\nVersion: 1.0\n"
        f"Maintainer: T <t@example.org>\nChecksums-Sha256:\n {digest} {len(TARBALL)} {file_name}\n"
    )
    return dsc


def test_a_whole_source_package_is_read_with_its_digests(tmp_path: Path):
    path = write_source_package(tmp_path)
    dsc, files = read_source_package(path)
    assert (dsc.name, dsc.size_bytes) == ("tiny_1.0.dsc", path.stat().st_size)
    assert dsc.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(file.path, file.sha256) for file in files] == [
        (tmp_path / "tiny_1.0.tar.xz", hashlib.sha256(TARBALL).hexdigest())
    ]


def test_a_missing_tarball_is_named(tmp_path: Path):
    dsc = write_source_package(tmp_path)
    (tmp_path / "tiny_1.0.tar.xz").unlink()
    with pytest.raises(DeborchError, match=r"names tiny_1\.0\.tar\.xz, which is not beside it") as caught:
        read_source_package(dsc)
    assert caught.value.code is ErrorCode.INVALID_SOURCE


def test_a_tarball_that_is_cut_off_is_named(tmp_path: Path):
    with pytest.raises(DeborchError, match=r"tiny_1\.0\.tar\.xz is 8 bytes long, tiny_1\.0\.dsc says 9") as caught:
        read_source_package(write_source_package(tmp_path, content=TARBALL[:-1]))
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


def test_a_tarball_with_another_digest_is_named(tmp_path: Path):
    with pytest.raises(DeborchError, match=r"tiny_1\.0\.tar\.xz has another SHA-256") as caught:
        read_source_package(write_source_package(tmp_path, content=b"A tarball"))
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


def test_a_file_name_that_climbs_out_is_refused_though_the_file_is_there(tmp_path: Path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "tiny_1.0.tar.xz").write_bytes(TARBALL)
    with pytest.raises(DeborchError, match=r"\.\./tiny_1\.0\.tar\.xz") as caught:
        read_source_package(write_source_package(inner, file_name="../tiny_1.0.tar.xz"))
    assert caught.value.code is ErrorCode.UNSAFE_PATH


def test_a_dsc_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DeborchError, match=r"there is no file .*nosuch\.dsc") as caught:
        read_source_package(tmp_path / "nosuch.dsc")
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_a_package_of_the_suite_is_named_as_for_apt():
    assert (read_suite_source("hello").name, read_suite_source("hello").version) == ("hello", None)
    assert read_suite_source("g++-12=1:12.2.0-14").version == "1:12.2.0-14"


@pytest.mark.parametrize("text", ["Hello", "hello=", "hello=no version", "h", "he llo", "hello=1=2"])
def test_what_is_neither_a_dsc_nor_a_package_is_refused(text: str):
    with pytest.raises(DeborchError, match=r"neither a \.dsc nor the name of a source package"):
        read_suite_source(text)
