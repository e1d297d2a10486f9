"""A build that is stopped, and one that is tried again."""

import time

from tests.e2e.running import mount_namespaces, process_that_runs, request, until

STOPPED_WITHIN_S = 2.0


def test_a_canceled_build_is_stopped_on_the_builder_within_two_seconds(stack, cli, target, source):
    build = cli.json("build", source(body="sleep 3600.25"), "--target", target)["id"]
    until(lambda: process_that_runs("sleep 3600.25"), "the build sleeps")
    namespaces = mount_namespaces()
    buildroot = namespaces[process_that_runs("sleep 3600.25")]
    assert buildroot != namespaces[stack.process.pid]
    url, token = f"{stack.hub}/builds/{build}/cancel", stack.token
    began = time.monotonic()
    assert request("POST", url, token=token).status == 200
    until(lambda: buildroot not in mount_namespaces().values(), "no process of the build is left", every_s=0.01)
    assert time.monotonic() - began < STOPPED_WITHIN_S
    shown = cli.json("build", "show", build)
    assert (shown["state"], shown["tasks"][-1]["state"]) == ("canceled", "canceled")
    task = shown["tasks"][-1]["id"]
    until(lambda: task not in stack.get("hosts/b1")["running_tasks"], "the host has nothing left of it")
    assert stack.get(f"archives/{target}/packages")["items"] == []


def test_who_watches_a_build_that_is_canceled_is_told_and_gets_exit_code_1(stack, cli, target, source):
    with cli.started("build", source(body="sleep 3600.5"), "--target", target, "--watch") as watcher:
        until(lambda: stack.get(f"builds?target={target}")["items"], "the build is there")
        (build,) = stack.get(f"builds?target={target}")["items"]
        cli("build", "cancel", build["id"])
        assert watcher.wait(30) == 1
        assert "canceled" in watcher.stdout.read()
    assert cli.problem("build", "cancel", build["id"], code=5)["code"] == "illegal-transition"


def test_a_failed_build_that_is_given_back_runs_again(stack, cli, target, source):
    dsc = source(body='echo "compiling"; echo "no such thing" >&2; exit 3')
    cli("build", dsc, "--target", target, "--watch", code=1)
    (build,) = stack.get(f"builds?target={target}")["items"]
    assert build["state"] == "failed"
    cli("build", "giveback", build["id"])
    cli("build", "watch", build["id"], code=1)
    (task,) = stack.get(f"builds/{build['id']}")["tasks"]
    attempts = stack.get(f"tasks/{task['id']}")["attempts"]
    assert [(attempt["attempt"], attempt["outcome"]) for attempt in attempts] == [(1, "failed"), (2, "failed")]
    assert "no such thing" in cli("build", "log", build["id"], "--attempt", 1).stdout


def test_a_completed_build_is_not_given_back(stack, cli, published):
    problem = cli.problem("build", "giveback", published.build, code=5)
    assert "completed" in problem["detail"]
    assert problem["hint"]
    assert stack.get(f"builds/{published.build}")["state"] == "completed"
