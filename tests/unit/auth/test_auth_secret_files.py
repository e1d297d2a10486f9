import stat

import pytest

from deborch_auth.store.secret_files import create_secret_file, load_pepper, read_secret_file
from deborch_shared.errors import DeborchError, ErrorCode


def test_the_pepper_is_made_once_readable_by_its_owner_only(tmp_path):
    made = load_pepper(tmp_path / "auth")
    assert load_pepper(tmp_path / "auth") == made
    assert len(made) >= 32
    assert stat.S_IMODE((tmp_path / "auth" / "pepper").stat().st_mode) == 0o600
    assert [entry.name for entry in (tmp_path / "auth").iterdir()] == ["pepper"]


def test_a_secret_file_is_never_overwritten(tmp_path):
    create_secret_file(tmp_path / "s", "first")
    with pytest.raises(FileExistsError):
        create_secret_file(tmp_path / "s", "second")
    assert read_secret_file(tmp_path / "s") == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


def test_a_secret_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path):
    create_secret_file(tmp_path / "s", "secret words")
    (tmp_path / "s").chmod(0o640)
    with pytest.raises(DeborchError) as refused:
        read_secret_file(tmp_path / "s")
    assert refused.value.hint == f"run: chmod 600 {tmp_path / 's'}"
    assert "secret words" not in str(refused.value)


def test_a_data_directory_that_cannot_be_made_is_a_setting_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeborchError) as refused:
        load_pepper(tmp_path / "file" / "auth")
    assert refused.value.code is ErrorCode.INVALID_SETTING
