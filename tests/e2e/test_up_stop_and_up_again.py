"""`deborch up` beside itself, its end by Ctrl-C, and its next start in the same directory."""

import signal
from pathlib import Path

import psutil
import pytest
from tests.e2e.running import request


def test_a_second_stack_in_the_same_directory_is_refused_and_does_the_first_no_harm(stack, cli):
    refused = cli("up", "--data", stack.data, code=5)
    assert "already runs" in refused.stderr
    assert "hint: " in refused.stderr
    assert stack.process.poll() is None
    cli("task", "create", "--watch")


def test_ctrl_c_leaves_no_process_and_the_next_start_has_all_that_there_was(stack, cli, published):
    stack.post("hosts/b1/state", {"state": "draining"})
    waiting = stack.post("tasks", {})["id"]
    urls, shown = stack.urls, stack.get(f"builds/{published.build}")
    parts = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(parts) > 5
    assert stack.end(signal.SIGINT) == 0
    assert [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE] == []
    assert str(stack.data) not in Path("/proc/self/mountinfo").read_text()
    with pytest.raises(ConnectionRefusedError):
        request("GET", f"{urls[0]}/livez")
    assert cli.problem("build", "list", code=6)["hint"]

    stack.start()
    assert stack.urls == urls
    assert "first admin key" not in stack.output
    assert cli.json("build", "show", published.build) == shown
    assert cli("archive", "sources", published.target).stdout == published.sources
    assert stack.get(f"tasks/{waiting}")["state"] == "free"
    stack.post("hosts/b1/state", {"state": "enabled"})
    cli("task", "watch", waiting)
