"""A build whose build dependencies do not exist yet waits for them, and says for what."""

import json

MISSING = "made-later-by-this-test"


def test_a_build_waits_for_a_missing_build_dependency_until_another_build_publishes_it(stack, cli, target, source):
    needy = source(name="needy", build_depends=f"build-essential, {MISSING} (>= 2), tiny-never-needed | {MISSING}")
    watched = cli("build", needy, "--target", target, "--watch", "--json", code=7)
    build = [json.loads(line)["build"] for line in watched.stdout.splitlines() if '{"build"' in line][-1]
    (task,) = build["tasks"]
    assert (build["state"], task["state"], task["blocked_reason"]) == ("building", "blocked", "build-dependencies")
    why = cli.json("task", "why", task["id"])
    assert why["missing"]
    assert all(MISSING in relation for relation in why["missing"])
    assert MISSING in cli("build", "watch", build["id"], code=7).stdout

    cli("build", source(name=MISSING, version="2.0"), "--target", target, "--watch")
    stack.wait_for_task(build["id"], "completed")
    cli("build", "watch", build["id"])
    assert {(entry["package"], entry["version"]) for entry in cli.json("archive", "packages", target)} >= {
        ("needy", "1.0"), (MISSING, "2.0")
    }  # fmt: skip
    attempts = cli.json("task", "show", task["id"])["attempts"]
    assert attempts[-1]["outcome"] == "completed"
    assert "failed" not in {attempt["outcome"] for attempt in attempts}
