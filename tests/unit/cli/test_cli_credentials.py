import json
import stat
from pathlib import Path

import pytest

from deborch_cli.credentials import (
    Credentials,
    checked_url,
    config_directory,
    credentials_file,
    load_credentials,
    remove_login,
    save_login,
)
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DEBORCH_HUB_URL", "DEBORCH_AUTH_URL", "DEBORCH_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DEBORCH_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_login_is_kept_where_only_its_user_can_read_it(own_directory: Path):
    path = save_login("http://hub.test:1/", "http://auth.test:2", "key")
    assert path == own_directory / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_directory.stat().st_mode) == 0o700
    assert load_credentials() == Credentials("http://hub.test:1", "http://auth.test:2", "key")


def test_a_login_can_be_kept_in_another_directory_than_the_users(tmp_path: Path):
    save_login("http://hub.test", "http://auth.test", "key", directory=tmp_path / "other")
    assert json.loads((tmp_path / "other" / "credentials.json").read_text())["api_key"] == "key"
    assert not credentials_file().exists()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch):
    save_login("http://hub.test", "http://auth.test", "key")
    monkeypatch.setenv("DEBORCH_API_KEY", "other")
    assert load_credentials() == Credentials("http://hub.test", "http://auth.test", "other")


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEBORCH_HUB_URL", "http://hub.test")
    monkeypatch.setenv("DEBORCH_AUTH_URL", "http://auth.test")
    with pytest.raises(DeborchError, match="no api key"):
        load_credentials()
    monkeypatch.setenv("DEBORCH_API_KEY", "key")
    assert load_credentials().api_key == "key"


def test_without_a_login_the_error_says_how_to_log_in():
    with pytest.raises(DeborchError, match="not logged in") as caught:
        load_credentials()
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    assert "deborch login" in caught.value.hint


def test_a_damaged_file_is_named_and_not_overlooked(own_directory: Path):
    own_directory.mkdir()
    credentials_file().write_text("{")
    with pytest.raises(DeborchError, match=r"credentials\.json is damaged"):
        load_credentials()


def test_logging_out_removes_key_and_token(own_directory: Path):
    save_login("http://hub.test", "http://auth.test", "key")
    (own_directory / "token.json").write_text("{}")
    assert remove_login()
    assert list(own_directory.iterdir()) == []
    assert not remove_login()


def test_the_key_does_not_show_when_credentials_are_printed():
    assert "secret" not in repr(Credentials("http://hub.test", "http://auth.test", "secret"))


@pytest.mark.parametrize("url", ["", "hub.test", "ftp://hub.test", "http://", "http:///x"])
def test_what_is_no_url_of_a_service_is_refused(url: str):
    with pytest.raises(DeborchError, match="not the URL of a service"):
        checked_url(url)


def test_the_directory_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEBORCH_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert config_directory() == Path("/xdg/deborch")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert config_directory() == Path("/home/u/.config/deborch")
