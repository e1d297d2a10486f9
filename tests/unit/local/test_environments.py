"""What each service of a local stack is told."""

from pathlib import Path

import pytest

from deborch_cli.local.data_directory import DataDirectory
from deborch_cli.local.environments import (
    Endpoints,
    auth_environment,
    builder_environment,
    composer_environment,
    hub_environment,
)

DATA = DataDirectory(Path("/data"))
ENDPOINTS = Endpoints(
    auth_database_url="postgresql://auth:AUTHSECRET@127.0.0.1:1/auth",
    hub_database_url="postgresql://hub:HUBSECRET@127.0.0.1:1/hub",
    amqp_url="amqp://deborch:BROKERSECRET@127.0.0.1:2/%2F",
    auth_port=3,
    hub_port=4,
)


def environment_of(service, given):
    if service == "auth":
        return auth_environment(ENDPOINTS, DATA, given)
    if service == "hub":
        return hub_environment(ENDPOINTS, DATA, given)
    if service == "composer":
        return composer_environment(ENDPOINTS, DATA, "box-composer", given)
    return builder_environment(ENDPOINTS, DATA, "box", given)


@pytest.mark.parametrize(
    ("service", "secrets"),
    [
        ("auth", {"AUTHSECRET"}),
        ("hub", {"HUBSECRET", "BROKERSECRET"}),
        ("builder", {"BROKERSECRET"}),
        ("composer", {"BROKERSECRET"}),
    ],
)
def test_each_service_is_told_the_passwords_that_it_needs_and_no_others(service, secrets):
    given = {
        "DEBORCH_AUTH_DATABASE_URL": ENDPOINTS.auth_database_url,
        "DEBORCH_HUB_DATABASE_URL": ENDPOINTS.hub_database_url,
        "DEBORCH_AMQP_URL": ENDPOINTS.amqp_url,
        "DEBORCH_API_KEY": "KEYSECRET",
    }
    text = str(environment_of(service, given))
    assert {secret for secret in ("AUTHSECRET", "HUBSECRET", "BROKERSECRET", "KEYSECRET") if secret in text} == secrets


def test_what_the_user_set_for_a_service_wins_and_reaches_that_service_alone():
    given = {"DEBORCH_BUILDER_TAGS": "fast", "DEBORCH_BUILDER_NAME": "theirs", "http_proxy": "http://proxy"}
    builder = environment_of("builder", given)
    assert (builder["DEBORCH_BUILDER_TAGS"], builder["DEBORCH_BUILDER_NAME"]) == ("fast", "theirs")
    assert "DEBORCH_BUILDER_TAGS" not in environment_of("hub", given)
    assert environment_of("hub", given)["http_proxy"] == "http://proxy"


def test_an_address_of_another_stack_in_the_environment_does_not_lead_astray():
    given = {"DEBORCH_HUB_URL": "http://elsewhere", "DEBORCH_AUTH_URL": "http://elsewhere"}
    assert environment_of("builder", given)["DEBORCH_HUB_URL"] == "http://127.0.0.1:4"
    assert environment_of("builder", given)["DEBORCH_AUTH_URL"] == "http://127.0.0.1:3"
    assert environment_of("hub", given)["DEBORCH_AUTH_URL"] == "http://127.0.0.1:3"


def test_endpoints_do_not_show_passwords_when_printed():
    assert "SECRET" not in repr(ENDPOINTS)
