"""Which files go to the hub with a treefile."""

import hashlib
from pathlib import Path

import pytest

from deborch_cli.treefile_files import tree_of
from deborch_shared.errors import DeborchError, ErrorCode


def with_source(directory: Path) -> Path:
    tar = b"the tar"
    (directory / "own_1.tar.xz").write_bytes(tar)
    (directory / "own_1.dsc").write_text(
        "Format: 3.0 (native)\nSource: own\nBinary: own\nArchitecture: all\nVersion: 1\nMaintainer: A <a@example.org>\n"
        f"Checksums-Sha256:\n {hashlib.sha256(tar).hexdigest()} {len(tar)} own_1.tar.xz\n"
        f"Files:\n {'0' * 32} {len(tar)} own_1.tar.xz\n"
    )
    treefile = directory / "own.yaml"
    treefile.write_text("name: own\nsources:\n  - source: own_1.dsc\n")
    return treefile


def test_a_source_package_goes_with_all_of_its_files(tmp_path: Path) -> None:
    name, files = tree_of(with_source(tmp_path), ())
    assert name == "own.yaml"
    assert [file.name for file in files] == ["own.yaml", "own_1.dsc", "own_1.tar.xz"]


def test_a_source_package_that_is_not_whole_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    treefile = with_source(tmp_path)
    (tmp_path / "own_1.tar.xz").unlink()
    with pytest.raises(DeborchError) as refused:
        tree_of(treefile, ())
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert "own_1.tar.xz" in refused.value.message
