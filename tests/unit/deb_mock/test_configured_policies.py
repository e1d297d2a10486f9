"""What reaches out of a buildroot is asked of the configuration first."""

import pytest

from deb_mock.configuration.policies import allowed_bind, allowed_network
from deb_mock.configuration.settings import Settings
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def host(tmp_path):
    for name in ("open", "open/below", "writable", "secret"):
        (tmp_path / name).mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret")
    return tmp_path


@pytest.fixture
def settings(host):
    return Settings.model_validate({"binds": [str(host / "open"), {"path": host / "writable", "write": True}]})


def test_directories_are_seen_as_the_rules_say(host, settings):
    below = allowed_bind(settings, f"{host}/open/below")
    assert (below.source, below.target, below.read_only) == (host / "open/below", f"{host}/open/below", True)
    written = allowed_bind(settings, f"{host}/writable:/data:rw")
    assert (written.target, written.read_only) == ("/data", False)


@pytest.mark.parametrize("asked", ["{}/secret", "{}/open:/x:rw", "{}/open/link", "{}/open/../secret:/x", "{}/openly"])
def test_everything_else_is_refused_with_the_fix(host, settings, asked):
    with pytest.raises(DeborchError) as caught:
        allowed_bind(settings, asked.format(host))
    assert caught.value.code is ErrorCode.FORBIDDEN
    assert "binds" in caught.value.hint


@pytest.mark.parametrize("asked", ["open", "/open:data", "/open:/a/../../b", "/open:/data:rwx"])
def test_what_is_no_bind_is_refused(settings, asked):
    with pytest.raises(DeborchError) as caught:
        allowed_bind(settings, asked)
    assert caught.value.code is ErrorCode.INVALID_INPUT


def test_the_network_can_be_switched_off_for_all_commands():
    allowed_network(Settings())
    with pytest.raises(DeborchError) as caught:
        allowed_network(Settings.model_validate({"network": {"commands": "never"}}))
    assert caught.value.code is ErrorCode.FORBIDDEN
