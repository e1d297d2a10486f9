"""A source package on disk is what its .dsc says, or is refused naming the file."""

import hashlib
import os

import pytest

from deb_mock.sources.package import SourcePackage
from deborch_shared.errors import DeborchError, ErrorCode

CONTENT = b"tarball"


@pytest.fixture
def dsc(tmp_path):
    path = tmp_path / "xx_1.0.dsc"
    digest = hashlib.sha256(CONTENT).hexdigest()
    path.write_text(
        "Format: 3.0 (native)\nSource: xx\nVersion: 1.0\nArchitecture: any\n"
        f"Checksums-Sha256:\n {digest} {len(CONTENT)} xx_1.0.tar.xz\n"
    )
    (tmp_path / "xx_1.0.tar.xz").write_bytes(CONTENT)
    return path


async def refused(dsc, keyring=None):
    with pytest.raises(DeborchError) as caught:
        await SourcePackage.read(dsc, keyring=keyring)
    assert caught.value.fields["failure_class"] == "policy"
    assert caught.value.hint
    return caught.value


async def test_what_is_copied_is_what_was_checked(dsc, tmp_path):
    package = await SourcePackage.read(dsc)
    target = tmp_path / "target"
    target.mkdir()
    descriptor = os.open(target, os.O_RDONLY)
    package.copy_into(descriptor, os.getuid())
    assert sorted(path.name for path in target.iterdir()) == ["xx_1.0.dsc", "xx_1.0.tar.xz"]

    (tmp_path / "xx_1.0.tar.xz").write_bytes(b"changed")
    with pytest.raises(FileExistsError):
        package.copy_into(descriptor, os.getuid())
    for path in target.iterdir():
        path.unlink()
    with pytest.raises(DeborchError) as caught:
        package.copy_into(descriptor, os.getuid())
    os.close(descriptor)
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


async def test_files_may_lie_elsewhere(dsc, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "xx_1.0.tar.xz").rename(elsewhere / "xx_1.0.tar.xz")
    assert (await SourcePackage.read(dsc, directory=elsewhere)).description.name == "xx"


@pytest.mark.parametrize("content", [b"tarbalL", b"tarball and more", b""])
async def test_another_content_or_size_is_refused(dsc, tmp_path, content):
    (tmp_path / "xx_1.0.tar.xz").write_bytes(content)
    error = await refused(dsc)
    assert error.code is ErrorCode.DIGEST_MISMATCH
    assert "xx_1.0.tar.xz" in error.message


async def test_a_missing_tarball_is_named(dsc, tmp_path):
    (tmp_path / "xx_1.0.tar.xz").unlink()
    error = await refused(dsc)
    assert error.code is ErrorCode.INVALID_SOURCE
    assert "xx_1.0.tar.xz" in error.message


async def test_an_unsigned_one_is_refused_where_policy_asks_for_a_signature(dsc, tmp_path):
    error = await refused(dsc, keyring=tmp_path / "keyring.gpg")
    assert error.code is ErrorCode.INVALID_SIGNATURE


async def test_a_missing_dsc_is_an_error_with_a_hint(tmp_path):
    assert (await refused(tmp_path / "none.dsc")).code is ErrorCode.INVALID_SOURCE
