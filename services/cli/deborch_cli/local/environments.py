"""What each service is told, as environment variables: the one place that knows their names.

A service gets the user's environment, less what is meant for the other services (their database passwords), then
our values, then what the user set for it: the user wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from deborch_cli.local import ports
from deborch_cli.local.data_directory import DataDirectory

_BROKER = "DEBORCH_AMQP_URL"
_PREFIXES = ("DEBORCH_AUTH_", "DEBORCH_HUB_", "DEBORCH_BUILDER_", "DEBORCH_COMPOSER_")
_SHARED = frozenset({"DEBORCH_AUTH_URL", "DEBORCH_HUB_URL"})
_SECRET = frozenset({_BROKER, "DEBORCH_API_KEY"})


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where everything is. Database and broker URLs hold passwords."""

    auth_database_url: str
    hub_database_url: str
    amqp_url: str
    auth_port: int
    hub_port: int

    @property
    def auth_url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.auth_port}"

    @property
    def hub_url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.hub_port}"

    def __repr__(self) -> str:
        return f"Endpoints(auth={self.auth_url}, hub={self.hub_url})"


def auth_environment(endpoints: Endpoints, data: DataDirectory, given: Mapping[str, str]) -> dict[str, str]:
    """For `python -m deborch_auth`."""
    return _environment(
        given,
        "DEBORCH_AUTH_",
        {
            "DEBORCH_AUTH_HOST": ports.LOOPBACK,
            "DEBORCH_AUTH_PORT": str(endpoints.auth_port),
            "DEBORCH_AUTH_PORT_FILE": str(data.port_file("auth")),
            "DEBORCH_AUTH_DATABASE_URL": endpoints.auth_database_url,
            "DEBORCH_AUTH_DATA_DIR": str(data.auth),
            "DEBORCH_AUTH_BOOTSTRAP_KEY_FILE": str(data.admin_key),
        },
    )


def hub_environment(endpoints: Endpoints, data: DataDirectory, given: Mapping[str, str]) -> dict[str, str]:
    """For `python -m deborch_hub`."""
    return _environment(
        given,
        "DEBORCH_HUB_",
        {
            "DEBORCH_HUB_HOST": ports.LOOPBACK,
            "DEBORCH_HUB_PORT": str(endpoints.hub_port),
            "DEBORCH_HUB_PORT_FILE": str(data.port_file("hub")),
            "DEBORCH_HUB_DATABASE_URL": endpoints.hub_database_url,
            "DEBORCH_HUB_DATA_DIR": str(data.hub),
            "DEBORCH_AUTH_URL": endpoints.auth_url,
            _BROKER: endpoints.amqp_url,
        },
    )


def builder_environment(
    endpoints: Endpoints, data: DataDirectory, name: str, given: Mapping[str, str]
) -> dict[str, str]:
    """For `python -m deborch_builder`."""
    return _environment(
        given,
        "DEBORCH_BUILDER_",
        {
            "DEBORCH_BUILDER_NAME": name,
            "DEBORCH_BUILDER_HOST": ports.LOOPBACK,
            "DEBORCH_BUILDER_PORT": "0",
            "DEBORCH_BUILDER_PORT_FILE": str(data.port_file("builder")),
            "DEBORCH_BUILDER_DATA_DIR": str(data.builder),
            "DEBORCH_BUILDER_KEY_FILE": str(data.builder_key),
            "DEBORCH_BUILDER_ENROLMENT_TOKEN_FILE": str(data.enrolment_token),
            "DEBORCH_HUB_URL": endpoints.hub_url,
            "DEBORCH_AUTH_URL": endpoints.auth_url,
            _BROKER: endpoints.amqp_url,
        },
    )


def composer_environment(
    endpoints: Endpoints, data: DataDirectory, name: str, given: Mapping[str, str]
) -> dict[str, str]:
    """For `python -m deborch_composer`."""
    return _environment(
        given,
        "DEBORCH_COMPOSER_",
        {
            "DEBORCH_COMPOSER_NAME": name,
            "DEBORCH_COMPOSER_HOST": ports.LOOPBACK,
            "DEBORCH_COMPOSER_PORT": "0",
            "DEBORCH_COMPOSER_PORT_FILE": str(data.port_file("composer")),
            "DEBORCH_COMPOSER_DATA_DIR": str(data.composer),
            "DEBORCH_COMPOSER_KEY_FILE": str(data.composer_key),
            "DEBORCH_COMPOSER_ENROLMENT_TOKEN_FILE": str(data.composer_enrolment_token),
            "DEBORCH_HUB_URL": endpoints.hub_url,
            "DEBORCH_AUTH_URL": endpoints.auth_url,
            _BROKER: endpoints.amqp_url,
        },
    )


def _environment(given: Mapping[str, str], prefix: str, ours: Mapping[str, str]) -> dict[str, str]:
    for_all = {name: value for name, value in given.items() if name not in _SECRET and not name.startswith(_PREFIXES)}
    for_it = {name: value for name, value in given.items() if name.startswith(prefix) and name not in _SHARED}
    return {**for_all, **ours, **for_it}
