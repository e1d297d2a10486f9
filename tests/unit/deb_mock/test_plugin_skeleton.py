"""`deb-mock plugin new`: a project that works as it is."""

import os
import subprocess
import sys

import pytest

from deb_mock.certification.suite import read_candidate
from deb_mock.plugins.skeleton import write_skeleton
from deborch_shared.errors import DeborchError


def test_the_tests_of_a_new_project_pass(tmp_path):
    project = tmp_path / "deb-mock-say-hello"
    write_skeleton("say-hello", project)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project)]
    done = subprocess.run(command, check=False, cwd=project, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_new_project_can_be_certified(tmp_path):
    write_skeleton("say-hello", tmp_path / "project")
    candidate = read_candidate(tmp_path / "project")
    assert (candidate.name, candidate.place) == ("say-hello", "deb_mock_say_hello:SayHello")


@pytest.mark.parametrize("name", ["", "Upper", "../x", "a_b", "1st", "-x", "lintian"])
def test_bad_and_taken_names_are_refused(tmp_path, name):
    with pytest.raises(DeborchError):
        write_skeleton(name, tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_a_directory_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(DeborchError, match="there already"):
        write_skeleton("say-hello", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_plug_in_is_no_candidate(tmp_path):
    with pytest.raises(DeborchError, match="no project of one plug-in"):
        read_candidate(tmp_path)
