"""What of the isolation this host cannot give, said once: by `doctor`, and in the log of the first build."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deborch_shared.sandbox import seccomp
from deborch_shared.sandbox.cgroups.hierarchies import CONTROLLERS, Findings, find

_WHAT: Mapping[str, str] = MappingProxyType(
    {
        "memory": "no limit of memory, and no count of it",
        "pids": "no limit of processes but the one that the kernel keeps for each user",
        "cpu": "no limit of CPU time",
        "io": "no limit of disk speed, and no count of it",
    }
)


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """Something that buildroots go without here."""

    what: str
    fix: str


def shortcomings(findings: Findings | None = None) -> list[Shortcoming]:
    """What this host lacks of limits and of the filter of system calls; empty: nothing."""
    found = find() if findings is None else findings
    lacking = [Shortcoming(_WHAT[name], found.missing[name]) for name in CONTROLLERS if name in found.missing]
    problem = seccomp.problem()
    if problem is not None:
        lacking.append(Shortcoming(problem.message, problem.hint or ""))
    return lacking


def limits_are_set_in(findings: Findings | None = None) -> dict[str, str]:
    """Each limit that works here, with the cgroup below which it is set."""
    found = find() if findings is None else findings
    return {name: os.fspath(tree.parent) for name, tree in found.usable.items() if name in CONTROLLERS}
