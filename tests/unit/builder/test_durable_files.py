"""Small files are whole or absent, private, and never left half written."""

import os
import stat

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.durable_files import directory_of_whole_files, write_durably


def test_a_file_is_private_and_replaces_what_was_there(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_keeps_the_old_file_and_leaves_no_half_one(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeborchError) as refused:
        write_durably(path, b"new")
    assert refused.value.code is ErrorCode.DISK_FULL
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_crash_left_half_written_is_removed_at_start(tmp_path) -> None:
    (tmp_path / ".7-1.json.0a0b0c0d.partial").write_bytes(b"{")
    (tmp_path / "7-1.json").write_bytes(b"{}")
    directory_of_whole_files(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["7-1.json"]
