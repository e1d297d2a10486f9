"""An operator takes a host out of service and brings it back."""

from collections.abc import Iterator

import pytest
from tests.e2e.running import Stack, until


@pytest.fixture(autouse=True)
def enabled_again(stack: Stack) -> Iterator[None]:
    yield
    stack.post("hosts/b1/state", {"state": "enabled"})


@pytest.mark.parametrize(("command", "state"), [("drain", "draining"), ("disable", "disabled")])
def test_a_host_out_of_service_gets_no_task_why_says_so_and_enabling_it_starts_the_task(stack, cli, command, state):
    running = stack.post("tasks", {"duration_s": 3})["id"]
    until(lambda: stack.get(f"tasks/{running}")["state"] == "running", "a task runs")
    assert cli.json("host", command, "b1")["state"] == state
    waiting = stack.post("tasks", {})["id"]
    until(lambda: stack.get(f"tasks/{running}")["state"] == "completed", "what ran has ended")
    why = cli.json("task", "why", waiting)
    assert why["state"] == "free"
    assert [(host["host"], host["obstacle"]) for host in why["hosts"]] == [("b1", "state")]
    assert state in why["hosts"][0]["detail"]
    assert "deborch host enable" in why["hint"]
    assert stack.get(f"tasks/{waiting}")["attempts"] == []
    cli("host", "enable", "b1")
    cli("task", "watch", waiting)


def test_a_task_that_no_host_can_take_waits_and_why_names_the_tag(cli):
    task = cli.json("task", "create", "--require-tag", "gpu")["id"]
    why = cli.json("task", "why", task)
    assert (why["state"], why["hosts_that_would_do"], why["hosts"][0]["obstacle"]) == ("free", 0, "tags")
    assert "gpu" in why["summary"] + why["hosts"][0]["detail"]
    cli("task", "cancel", task)
    cli("task", "watch", task, code=1)


def test_an_unknown_host_cannot_be_drained(cli):
    assert cli.problem("host", "drain", "nowhere", code=4)["code"] == "not-found"
