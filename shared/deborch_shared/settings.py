"""Settings come from the environment only; each states its unit, its default and why.

A service subclasses `ServiceSettings` with its own prefix and calls `load` in `__main__`, nowhere else.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import AliasChoices, AmqpDsn, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from deborch_shared.errors import DeborchError, ErrorCode


class ServiceSettings(BaseSettings):
    """What each service reads, whatever it does."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    log_level: str = Field(
        "INFO",
        validation_alias="DEBORCH_LOG_LEVEL",
        description="Lowest level that is logged, as JSON on stderr.",
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("DEBORCH_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where traces go by OTLP over HTTP; unset: traces are not exported.",
    )
    drain_timeout_s: float = Field(
        30.0,
        gt=0,
        validation_alias="DEBORCH_DRAIN_TIMEOUT_S",
        description="Seconds to finish work after SIGTERM; what is left then is logged and dropped. A builder first "
        "stops its builds and gives them back, which takes up to 8 s more.",
    )


class ListenSettings(BaseSettings):
    """Where a service listens."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless set, so nothing opens unasked.")
    port: int = Field(0, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    port_file: Path | None = Field(None, description="File that receives the port in use once the service listens.")


class BrokerSettings(BaseSettings):
    """How to reach RabbitMQ."""

    amqp_url: SecretStr = Field(
        ..., validation_alias="DEBORCH_AMQP_URL", description="amqp(s)://user:password@host:port/vhost"
    )

    @field_validator("amqp_url")
    @classmethod
    def _is_amqp(cls, url: SecretStr) -> SecretStr:
        try:
            TypeAdapter(AmqpDsn).validate_python(url.get_secret_value())
        except ValidationError:
            raise ValueError("not of the form amqp(s)://user:password@host:port/vhost") from None
        return url

    def amqp_dsn(self) -> str:
        return str(AmqpDsn(self.amqp_url.get_secret_value()))


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Read `settings` from the environment.

    Raises:
        DeborchError: INVALID_SETTING naming each variable that is missing or wrong. Values are not repeated.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        problems = "; ".join(f"{_variable(prefix, e['loc'])}: {e['msg']}" for e in error.errors(include_input=False))
    except SettingsError as error:
        problems = f'{error}: a list is written as JSON, such as ["a", "b"]'
    raise DeborchError(
        ErrorCode.INVALID_SETTING,
        f"settings are not usable: {problems}",
        hint="set the environment variables named; docs/reference/settings.md lists them all",
    )


def _variable(prefix: str, location: tuple[int | str, ...]) -> str:
    name = "_".join(str(part) for part in location)
    return name if name.startswith("DEBORCH_") else f"{prefix}{name}".upper()
