"""A logged-in command line and the services that it talks to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.cli.fake_services import API_KEY, FakeServices

from deborch_cli.credentials import save_login


@pytest.fixture
def services() -> Iterator[FakeServices]:
    fake = FakeServices()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def config_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private configuration directory, and no variable of the developer's own."""
    for variable in ("DEBORCH_HUB_URL", "DEBORCH_AUTH_URL", "DEBORCH_API_KEY", "DEBORCH_TARGET", "DEBORCH_DEBUG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DEBORCH_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def logged_in(services: FakeServices, config_directory: Path) -> FakeServices:
    save_login(services.url, services.url, API_KEY)
    return services
