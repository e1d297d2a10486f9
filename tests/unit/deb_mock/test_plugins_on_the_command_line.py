"""`--plugin`, and what is said of plug-ins that are not there."""

import subprocess
import sys

import pytest

from deb_mock.cli.plugin_options import plugin_setting
from deb_mock.engine_config import PluginSetting
from deborch_shared.errors import DeborchError


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("lintian", PluginSetting("lintian")),
        ("lintian:gating=yes", PluginSetting("lintian", options={"gating": "yes"})),
        ("a:k=1,k=2,j=x=y", PluginSetting("a", options={"k": ["1", "2"], "j": "x=y"})),
        ("mount:binds=/a:/b", PluginSetting("mount", options={"binds": "/a:/b"})),
        ("hw-info:required=no", PluginSetting("hw-info", required=False)),
    ],
)
def test_a_plug_in_is_given_with_its_options(text, setting):
    assert plugin_setting(text) == setting


@pytest.mark.parametrize("text", ["lintian:gating", "lintian:=yes"])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(DeborchError, match="is not KEY=VALUE"):
        plugin_setting(text)


@pytest.mark.parametrize("command", ["list", "clean"])
def test_a_plug_in_of_the_configuration_that_is_not_there_is_an_error_without_a_traceback(tmp_path, command):
    config = tmp_path / "config.yaml"
    config.write_text("plugins:\n  - name: lintain\n")
    places = ["--state-dir", str(tmp_path / "state"), "--cache-dir", str(tmp_path / "cache")]
    argv = [sys.executable, "-m", "deb_mock", command, "--config", str(config), *places]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "did you mean lintian?" in done.stderr
    assert "Traceback" not in done.stderr
