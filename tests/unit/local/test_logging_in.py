"""Who is logged in by `deborch up`, and what it does without the first key's file."""

import os

import pytest

from deborch_cli.credentials import save_login
from deborch_cli.local.environments import Endpoints
from deborch_cli.local.stack import LocalStack
from deborch_cli.local.up import invoking_user
from deborch_shared.errors import DeborchError, ErrorCode

ENDPOINTS = Endpoints("postgresql://a", "postgresql://h", "amqp://b", 1001, 1002)


@pytest.fixture
def stack(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBORCH_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("DEBORCH_API_KEY", raising=False)
    made = LocalStack(tmp_path / "data", lambda _: None, given={})
    made._endpoints = ENDPOINTS
    return made


def test_the_first_key_is_read_from_its_file(stack):
    stack.admin_key.parent.mkdir()
    stack.admin_key.write_text("first\n")
    assert stack.admin_credentials().api_key == "first"


def test_without_that_file_the_login_of_the_command_line_is_used(stack):
    save_login("http://elsewhere", "http://elsewhere", "kept")
    found = stack.admin_credentials()
    assert (found.api_key, found.hub_url) == ("kept", ENDPOINTS.hub_url)


def test_with_neither_it_is_said_how_to_log_in_at_this_stack(stack):
    with pytest.raises(DeborchError) as caught:
        stack.admin_credentials()
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    assert f"--hub-url {ENDPOINTS.hub_url}" in caught.value.hint


def test_a_key_file_that_the_environment_names_is_the_one(tmp_path):
    elsewhere = tmp_path / "elsewhere.key"
    given = {"DEBORCH_AUTH_BOOTSTRAP_KEY_FILE": str(elsewhere)}
    assert LocalStack(tmp_path / "data", lambda _: None, given=given).admin_key == elsewhere


async def test_a_port_that_is_none_is_told_by_its_variable(tmp_path):
    stack = LocalStack(tmp_path, lambda _: None, given={"DEBORCH_HUB_PORT": "abc"})
    with pytest.raises(DeborchError, match="DEBORCH_HUB_PORT='abc' is no port") as caught:
        await stack._choose_port("hub", None)
    assert caught.value.hint


@pytest.mark.parametrize("environment", [{}, {"SUDO_UID": "0"}, {"SUDO_UID": "x"}, {"SUDO_UID": "4000000000"}])
def test_nobody_called_sudo(environment):
    assert invoking_user(environment) is None


def test_who_called_sudo_is_found_by_the_id():
    user = invoking_user({"SUDO_UID": "1"})
    assert user is not None
    assert user.pw_uid == 1 != os.geteuid() or os.geteuid() == 1
