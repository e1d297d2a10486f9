"""What a host cannot give is said, each with what to do about it."""

from pathlib import Path

from deb_mock.host.isolation import limits_are_set_in, shortcomings
from deborch_shared.sandbox import seccomp
from deborch_shared.sandbox.cgroups.hierarchies import CONTROLLERS, Findings, Hierarchy

TREE = Hierarchy(2, frozenset(CONTROLLERS), Path("/sys/fs/cgroup"))


def test_a_host_with_everything_lacks_nothing(monkeypatch):
    monkeypatch.setattr(seccomp, "problem", lambda: None)
    assert shortcomings(Findings(dict.fromkeys(CONTROLLERS, TREE), TREE, {})) == []


def test_each_limit_that_cannot_be_set_is_named_with_the_fix(monkeypatch):
    monkeypatch.setattr(seccomp, "problem", lambda: None)
    found = Findings({"pids": TREE}, TREE, {"memory": "do this", "cpu": "do that"})
    assert [(lacking.what.split(",")[0], lacking.fix) for lacking in shortcomings(found)] == [
        ("no limit of memory", "do this"),
        ("no limit of CPU time", "do that"),
    ]
    assert limits_are_set_in(found) == {"pids": "/sys/fs/cgroup"}
