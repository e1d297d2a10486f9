"""The builder's settings: where each comes from, and what a wrong one says."""

import pytest

from deborch_builder.data_directory import locked
from deborch_builder.settings import BuilderSettings
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.settings import load

MINIMUM = {
    "DEBORCH_BUILDER_NAME": "b1",
    "DEBORCH_HUB_URL": "http://hub",
    "DEBORCH_AUTH_URL": "http://auth",
    "DEBORCH_AMQP_URL": "amqp://user:password@broker:5672/",
}


@pytest.fixture
def environment(monkeypatch):
    for name, value in MINIMUM.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_minimum_is_enough(environment) -> None:
    settings = load(BuilderSettings)
    assert settings.tags == ()
    assert settings.cpu is None
    assert settings.key_path == settings.data_dir / "host.key"
    assert settings.enrolment() is None


@pytest.mark.parametrize("text", ["fast,ssd", "fast ssd", " fast, ssd,"])
def test_tags_are_separated_by_commas_or_spaces(environment, text) -> None:
    environment.setenv("DEBORCH_BUILDER_TAGS", text)
    assert load(BuilderSettings).tags == ("fast", "ssd")


def test_the_enrolment_token_may_be_in_a_file(environment, tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text("once\n")
    environment.setenv("DEBORCH_BUILDER_ENROLMENT_TOKEN_FILE", str(file))
    assert load(BuilderSettings).enrolment() == "once"
    file.unlink()
    with pytest.raises(DeborchError) as refused:
        load(BuilderSettings).enrolment()
    assert refused.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DEBORCH_BUILDER_NAME", "Not A Name"), ("DEBORCH_BUILDER_CPU", "0"), ("DEBORCH_BUILDER_TAGS", "UPPER")],
)
def test_a_wrong_value_names_its_variable(environment, variable, value) -> None:
    environment.setenv(variable, value)
    with pytest.raises(DeborchError) as refused:
        load(BuilderSettings)
    assert variable in refused.value.message
    assert value not in refused.value.message


def test_a_data_directory_that_cannot_be_made_says_which_setting(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeborchError) as refused, locked(tmp_path / "file" / "data"):
        pass
    assert "DEBORCH_BUILDER_DATA_DIR" in refused.value.hint
