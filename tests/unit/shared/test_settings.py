import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.settings import BrokerSettings, ListenSettings, ServiceSettings, load

SECRET = "correct-horse-battery-staple"


class Settings(ServiceSettings, ListenSettings, BrokerSettings):
    model_config = SettingsConfigDict(env_prefix="DEBORCH_TRIAL_", frozen=True, extra="ignore", populate_by_name=True)

    lease_s: float = Field(30.0, gt=0)
    token: SecretStr = Field(..., min_length=40)
    tags: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("DEBORCH_AMQP_URL", f"amqp://deborch:{SECRET}@127.0.0.1:5672/")
    monkeypatch.setenv("DEBORCH_TRIAL_TOKEN", SECRET * 2)


def refusal() -> str:
    with pytest.raises(DeborchError) as refused:
        load(Settings)
    assert refused.value.code is ErrorCode.INVALID_SETTING
    assert SECRET not in f"{refused.value}{refused.value.fields}"
    return refused.value.message


def test_settings_come_from_the_environment_with_defaults_for_the_rest(monkeypatch):
    monkeypatch.setenv("DEBORCH_TRIAL_PORT", "80")
    monkeypatch.setenv("DEBORCH_TRIAL_TAGS", '["big", "fast"]')
    settings = load(Settings)
    assert (settings.port, settings.host, settings.lease_s, settings.tags) == (80, "127.0.0.1", 30.0, ("big", "fast"))
    assert settings.amqp_dsn() == f"amqp://deborch:{SECRET}@127.0.0.1:5672/"


def test_no_secret_shows_when_settings_are_printed():
    assert SECRET not in repr(load(Settings))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBORCH_AMQP_URL", f"http://{SECRET}"),
        ("DEBORCH_AMQP_URL", SECRET),
        ("DEBORCH_TRIAL_TOKEN", SECRET),
        ("DEBORCH_TRIAL_PORT", SECRET),
        ("DEBORCH_TRIAL_PORT", "70000"),
        ("DEBORCH_TRIAL_LEASE_S", "0"),
        ("DEBORCH_DRAIN_TIMEOUT_S", SECRET),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_repeated(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert variable in refusal()


@pytest.mark.parametrize("variable", ["DEBORCH_AMQP_URL", "DEBORCH_TRIAL_TOKEN"])
def test_a_missing_setting_is_named(monkeypatch, variable):
    monkeypatch.delenv(variable)
    assert variable in refusal()


def test_a_list_that_is_no_json_is_named_with_the_form_to_use(monkeypatch):
    monkeypatch.setenv("DEBORCH_TRIAL_TAGS", f"{SECRET},x")
    message = refusal()
    assert "tags" in message
    assert '["a", "b"]' in message


def test_all_that_is_wrong_is_said_at_once(monkeypatch):
    monkeypatch.setenv("DEBORCH_TRIAL_PORT", "x")
    monkeypatch.delenv("DEBORCH_AMQP_URL")
    message = refusal()
    assert "DEBORCH_TRIAL_PORT" in message
    assert "DEBORCH_AMQP_URL" in message
