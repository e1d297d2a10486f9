import os
import subprocess
import sys

import pytest

from deborch_auth.settings import AuthSettings
from deborch_shared.errors import DeborchError
from deborch_shared.settings import load


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("DEBORCH_")]:
        monkeypatch.delenv(name)


def test_settings_are_read_from_the_services_own_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("DEBORCH_AUTH_DATABASE_URL", "postgresql://a:b@c/d")
    monkeypatch.setenv("DEBORCH_AUTH_PORT", "8088")
    monkeypatch.setenv("DEBORCH_AUTH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DEBORCH_LOG_LEVEL", "DEBUG")
    settings = load(AuthSettings)
    assert (settings.port, settings.host, settings.data_dir) == (8088, "127.0.0.1", tmp_path)
    assert settings.log_level == "DEBUG"
    assert settings.token_lifetime_s == 600
    assert "a:b@c" not in repr(settings)


def test_a_short_pepper_is_refused_by_name_and_not_repeated(monkeypatch):
    monkeypatch.setenv("DEBORCH_AUTH_DATABASE_URL", "postgresql://a:b@c/d")
    monkeypatch.setenv("DEBORCH_AUTH_PEPPER", "hunter2")
    with pytest.raises(DeborchError, match="DEBORCH_AUTH_PEPPER") as refused:
        load(AuthSettings)
    assert "hunter2" not in str(refused.value)


def test_a_process_without_its_database_url_says_so_in_one_line():
    ended = subprocess.run(
        [sys.executable, "-m", "deborch_auth"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "DEBORCH_AUTH_DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr
