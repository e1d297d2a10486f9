"""`deb-mock plugin certify`, of a good plug-in and of one that leaves things behind."""

import json
import sys

import pytest
from tests.integration.deb_mock.conftest import what_is_left

from deb_mock.plugins.skeleton import write_skeleton
from deborch_shared import process

BAD_PROJECT = """\
[project]
name = "bad"
version = "1"

[project.entry-points."deb_mock.plugins"]
bad = "bad_plugin:Bad"
"""
BAD = """\
import subprocess
from deb_mock.plugins.api import Plugin, hookimpl

class Bad(Plugin):
    name = "bad"
    summary = "Leaves a process and a file."
    api_version = "1.0"

    @hookimpl
    async def before_unpack(self, build):
        subprocess.Popen(["sleep", "10"], start_new_session=True)
        (build.config.state_dir / "left").write_text("x")
"""


@pytest.fixture
def certify(config, tmp_path):
    """The exit code, and each trial by its name."""

    async def run(project):
        state = tmp_path / "certify" / "state"
        places = ["--state-dir", str(state), "--cache-dir", str(config.cache_dir)]
        command = [sys.executable, "-m", "deb_mock", "plugin", "certify", str(project), *places, "--json"]
        done = await process.run(["/bin/sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command], check=False)
        assert what_is_left(state) == []
        assert [path.name for path in state.parent.iterdir()] == ["state"]
        trials = json.loads(done.output)["trials"]
        return done.returncode, {each["trial"]: each["passed"] for each in trials}

    return run


@pytest.mark.slow
async def test_a_new_plug_in_is_certified_as_it_is(certify, tmp_path):
    write_skeleton("say-hello", tmp_path / "project")
    returncode, trials = await certify(tmp_path / "project")
    assert returncode == 0
    assert len(trials) == 12
    assert all(trials.values())


@pytest.mark.slow
async def test_a_plug_in_that_leaves_things_is_not(certify, tmp_path):
    project = tmp_path / "bad"
    project.mkdir()
    (project / "pyproject.toml").write_text(BAD_PROJECT)
    (project / "bad_plugin.py").write_text(BAD)
    returncode, trials = await certify(project)
    assert returncode == 1
    failed = {trial for trial, passed in trials.items() if not passed}
    assert "leaves no files, processes or mounts after a build" in failed
    assert "leaves the failure of a build as it is" not in failed


async def test_a_plug_in_with_options_that_are_not_described_is_not_built_with(certify, tmp_path):
    project = tmp_path / "silent"
    write_skeleton("silent", project)
    module = project / "src" / "deb_mock_silent" / "__init__.py"
    module.write_text(module.read_text().replace(', description="What is written into the log and the results."', ""))
    returncode, trials = await certify(project)
    assert returncode == 1
    assert [trial for trial, passed in trials.items() if not passed] == ["documents itself and its options"]
    assert "does not break a build" not in trials
