"""Which plug-ins can be used, and what is said of those that cannot."""

from dataclasses import replace

import pytest
from pydantic import Field

from deb_mock.engine_config import EngineConfig, PluginSetting
from deb_mock.plugins import catalogue
from deb_mock.plugins.api import API_VERSION, Check, Plugin, PluginOptions, hookimpl
from deb_mock.plugins.manager import Plugins
from deborch_shared.errors import DeborchError, ErrorCode


class Options(PluginOptions):
    size_mib: int = Field(1, description="How much.")


class Good(Plugin):
    name = "good"
    summary = "Does nothing."
    api_version = "1.0"
    options_model = Options

    @hookimpl
    def before_base(self, build):
        pass


@pytest.fixture
def shipped(monkeypatch):
    """Makes classes of this module known as shipped plug-ins."""

    def ship(**plugins: type):
        for name, plugin in plugins.items():
            monkeypatch.setitem(globals(), f"_{name}", plugin)
        places = {name: f"{__name__}:_{name}" for name in plugins}
        monkeypatch.setattr(catalogue, "SHIPPED", places)
        monkeypatch.setattr(catalogue, "import_module", lambda module: _Here)

    return ship


class _Globals(type):
    def __getattr__(cls, name: str) -> object:
        return globals()[name]


class _Here(metaclass=_Globals):
    """This module, which pytest's import mode does not let others import by name."""


def refusal(*settings: PluginSetting):
    with pytest.raises(DeborchError) as caught:
        catalogue.configured(settings)
    return caught.value


def test_options_are_checked_against_the_plug_ins_own_model(shipped):
    shipped(good=Good)
    (loaded,) = catalogue.configured([PluginSetting("good", options={"size_mib": "3"})])
    assert loaded.options == Options(size_mib=3)


def test_a_wrong_option_is_named_with_the_nearest_known(shipped):
    shipped(good=Good)
    error = refusal(PluginSetting("good", options={"size_mb": 3}))
    assert error.code is ErrorCode.INVALID_SETTING
    assert "good" in error.message
    assert "did you mean size_mib?" in error.message


def test_an_unknown_plug_in_is_named_with_the_nearest_known(shipped):
    shipped(good=Good)
    assert "did you mean good?" in refusal(PluginSetting("goood")).message


def test_a_disabled_plug_in_is_not_even_imported(monkeypatch):
    monkeypatch.setattr(catalogue, "SHIPPED", {"broken": "no.such.module:Plugin"})
    assert catalogue.configured([PluginSetting("broken", enabled=False)]) == ()
    assert "cannot be imported" in refusal(PluginSetting("broken")).message


def test_the_later_of_two_settings_of_one_name_counts(shipped):
    shipped(good=Good)
    settings = [PluginSetting("good", options={"size_mib": 1}), PluginSetting("good", options={"size_mib": 2})]
    assert [each.options.size_mib for each in catalogue.configured(settings)] == [2]


@pytest.mark.parametrize("version", ["2.0", "1.99", "0.9", "one"])
def test_a_plug_in_for_another_interface_is_refused(shipped, version):
    shipped(good=type("Good", (Good,), {"api_version": version}))
    assert f"this is {API_VERSION}" in refusal(PluginSetting("good")).message


class MisspelledHook(Plugin):
    name = "misspelled"
    summary = "Has a hook that there is not."

    @hookimpl
    def before_biuld(self, build):
        pass


class WrongArgument(Plugin):
    name = "argument"
    summary = "Wants what a hook does not give."

    @hookimpl
    def before_base(self, buildroot):
        pass


class NoCheck(Plugin):
    name = "nocheck"
    summary = "Checks without being a check."

    @hookimpl
    def check(self, results):
        pass


@pytest.mark.parametrize(
    ("plugin", "said"),
    [(MisspelledHook, "before_biuld"), (WrongArgument, "buildroot"), (NoCheck, "is no Check"), (Options, "subclass")],
)
def test_a_plug_in_that_does_not_fit_is_refused_before_anything_runs(shipped, plugin, said):
    name = getattr(plugin, "name", "other")
    shipped(**{name: plugin})
    error = refusal(PluginSetting(name))
    assert error.code is ErrorCode.PLUGIN_FAILED
    assert error.fields["plugin"] == name
    assert said in error.message


class Proxied(Plugin):
    name = "proxied"
    summary = "Changes the configuration."

    @hookimpl
    def configuration_resolved(self, config):
        return replace(config, proxies={"http_proxy": "http://localhost:1"})


def test_a_plug_in_may_change_the_configuration(shipped, tmp_path):
    shipped(proxied=Proxied)
    config = EngineConfig(tmp_path, tmp_path, plugins=(PluginSetting("proxied"),))
    assert Plugins(config).config.proxies == {"http_proxy": "http://localhost:1"}


def test_checks_know_whether_they_gate(shipped):
    class Judge(Check):
        name = "judge"
        summary = "Judges."

    shipped(judge=Judge)
    (loaded,) = catalogue.configured([PluginSetting("judge", options={"gating": True})])
    assert loaded.options.gating
