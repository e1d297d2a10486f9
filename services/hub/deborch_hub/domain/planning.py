"""Which tasks a source package needs in a target. Source: Debian Policy, section 5.6.8 (Architecture)."""

from collections.abc import Sequence
from dataclasses import dataclass

from deborch_shared.contract.payloads import BuildMode
from deborch_shared.errors import DeborchError, ErrorCode

_WILDCARD_OS = ("linux-any", "any")


@dataclass(frozen=True, slots=True)
class PlannedBuild:
    """One build-package task: on which architecture, and which of the packages it makes."""

    architecture: str
    mode: BuildMode


def plan_builds(
    source_architectures: Sequence[str], target_architectures: Sequence[str], asked: Sequence[str] = ()
) -> list[PlannedBuild]:
    """The first of the target's architectures also makes the architecture-independent packages.

    Raises:
        DeborchError: INVALID_INPUT if an architecture that was asked for is not the target's;
            INVALID_SOURCE if nothing of the source can be built there.
    """
    unknown = [architecture for architecture in asked if architecture not in target_architectures]
    if unknown:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"the target does not have the architecture {', '.join(unknown)}",
            hint=f"it has {', '.join(target_architectures)}",
        )
    chosen = [architecture for architecture in target_architectures if not asked or architecture in asked]
    has_all = "all" in source_architectures
    plans: list[PlannedBuild] = []
    for architecture in chosen:
        first = architecture == target_architectures[0] or (bool(asked) and architecture == chosen[0])
        has_any = any(_covers(pattern, architecture) for pattern in source_architectures)
        if has_any:
            plans.append(PlannedBuild(architecture, "any+all" if has_all and first else "any"))
        elif has_all and first:
            plans.append(PlannedBuild(architecture, "all"))
    if not plans:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"the source builds for {' '.join(source_architectures)}, the target has {', '.join(chosen)}",
            hint="choose a target with one of the source's architectures",
        )
    return plans


def _covers(pattern: str, architecture: str) -> bool:
    """Architecture wildcards of Policy, section 11.1.1, for the Linux architectures, whose names have no dash."""
    return pattern in _WILDCARD_OS or pattern in {architecture, f"linux-{architecture}", f"any-{architecture}"}
