"""The command itself, with all phases that are installed: killed in the middle, resumed, and made again unchanged."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TREEFILE = """\
name: whole
suite: trixie
container: true
packages: [apt]
documentation: false
outputs: [tar]
"""


@pytest.fixture
def command(tmp_path, cached_state, tools):
    """Starts `deb-bootc-compose` in a state directory of its own that shares the caches."""
    root = tmp_path / "state"
    root.mkdir()
    (root / "cache").symlink_to(cached_state.root / "cache")
    (tmp_path / "whole.yaml").write_text(TREEFILE)

    def start(*arguments: str):
        line = [sys.executable, "-m", "deb_bootc_compose", *arguments, "--state-dir", str(root), "--json"]
        return subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    return start


def events_of(process):
    events = [json.loads(line) for line in process.communicate(timeout=500)[0].splitlines()]
    assert process.returncode == 0, events
    return events


def states(events):
    return {event["phase"]: event["state"] for event in events if event["event"] == "phase.done"}


@pytest.mark.slow
def test_a_compose_killed_in_its_tree_goes_on_and_an_unchanged_one_makes_nothing(command, tmp_path):
    killed = command("compose", "whole.yaml")
    for line in killed.stdout:
        event = json.loads(line)
        if event["event"] == "phase.progress" and event["phase"] == "ostree":
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    (listed,) = events_of(command("list"))[0]
    assert (listed["status"], listed["was_killed"]) == ("DOOMED", True)

    resumed = events_of(command("resume", listed["compose_id"]))
    assert resumed[-1]["status"] == "FINISHED"
    assert states(resumed)["gather"] == "reused"
    assert states(resumed)["ostree"] == "done"
    assert list((tmp_path / "state/scratch/staging").iterdir()) == []
    delivered = tmp_path / "state/composes/latest-whole/compose"
    assert [path.name.partition(".tar")[1] for path in delivered.glob("whole/*/images/*")] == [".tar"]

    again = events_of(command("compose", "whole.yaml"))
    assert {states(again)[phase] for phase in ("gather", "ostree", "output.tar")} == {"reused"}
    (changes,) = events_of(command("diff", listed["compose_id"], again[0]["compose_id"], "--files"))[0]
    assert (changes["packages"], changes["sizes"], changes["files"]) == ([], [], [])
