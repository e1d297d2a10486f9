"""Which phases a compose has for which targets, and what each of them waits for: a graph without cycles."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.api import Phase, Scope, Target
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode

FIRST = "init"
"""Every other phase comes after this one."""


@dataclass(frozen=True, slots=True)
class Node:
    """One phase for one target, or for the compose."""

    phase: str
    target: Target | None = None

    def __str__(self) -> str:
        return self.phase if self.target is None else f"{self.phase}.{self.target}"


@dataclass(frozen=True, slots=True)
class Graph:
    """What runs, in an order in which it can."""

    order: tuple[Node, ...]
    needs: Mapping[Node, frozenset[Node]]
    """Without which a node cannot run."""
    waits: Mapping[Node, frozenset[Node]]
    """Which have to be finished before a node: `needs` and what it comes after."""
    skipped: Mapping[Node, str]
    """What the compose does without, and why."""


def matches(name: str, selector: str) -> bool:
    """Whether `selector`, a name, a group such as `output`, or a pattern such as `output.*`, means the phase `name`."""
    return name == selector or name.startswith(f"{selector}.") or fnmatchcase(name, selector)


def plan(phases: Mapping[str, Phase], request: ComposeRequest, treefiles: Mapping[Target, ResolvedTreefile]) -> Graph:
    """The graph of `phases` for `request`.

    Raises:
        DeborchError: PLUGIN_FAILED for a need that nobody meets, or a cycle; INVALID_INPUT for a selector that
            means no phase.
    """
    _check_selectors(phases, (*request.skip_phases, *request.just_phases))
    _check_needs(phases, _selected(phases, request))
    _check_cycles(phases)
    chosen, skipped = _choose(phases, request, treefiles)
    needs: dict[Node, frozenset[Node]] = {}
    waits: dict[Node, frozenset[Node]] = {}
    for name in _ordered(phases):
        phase = phases[name]
        for node in [node for node in chosen if node.phase == name]:
            missing = [need for need in phase.needs if not _counterparts(node, {need}, needs)]
            if missing:
                skipped[node] = f"needs {', '.join(missing)}"
                continue
            earlier = {other for other in phases if _comes_after(phase, other)}
            waits[node] = _counterparts(node, earlier | set(phase.needs), needs)
            needs[node] = _counterparts(node, set(phase.needs), needs)
    return Graph(tuple(needs), needs, waits, skipped)


def _selected(phases: Mapping[str, Phase], request: ComposeRequest) -> set[str]:
    """Phases that --just-phase and --skip-phase leave."""
    just = _with_needs(phases, request.just_phases) if request.just_phases else set(phases)
    return {name for name in just if not any(matches(name, selector) for selector in request.skip_phases)}


def _check_needs(phases: Mapping[str, Phase], selected: Set[str]) -> None:
    for phase in (phase for name, phase in phases.items() if name in selected):
        for need in phase.needs:
            if need not in phases:
                raise failure(
                    FailureClass.HOST,
                    ErrorCode.PLUGIN_FAILED,
                    f"the phase {phase.name} needs {need}, which no installed phase is",
                    hint="install the plug-in that has it, or remove the one that needs it",
                )


def _check_cycles(phases: Mapping[str, Phase]) -> None:
    try:
        TopologicalSorter(_edges(phases)).prepare()
    except CycleError as error:
        raise failure(
            FailureClass.HOST,
            ErrorCode.PLUGIN_FAILED,
            f"phases wait for each other: {' -> '.join(error.args[1])}",
            hint="mend needs and after of the plug-in phase among them",
        ) from error


def _check_selectors(phases: Mapping[str, Phase], selectors: Iterable[str]) -> None:
    for selector in selectors:
        if not any(matches(name, selector) for name in phases):
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"no phase is meant by {selector!r}",
                hint=f"phases and their groups are: {', '.join(_ordered(phases))}",
            )


def _edges(phases: Mapping[str, Phase]) -> dict[str, list[str]]:
    return {
        name: sorted({*phase.needs, *(other for other in phases if _comes_after(phase, other))})
        for name, phase in phases.items()
    }


def _ordered(phases: Mapping[str, Phase]) -> list[str]:
    return list(TopologicalSorter(_edges(phases)).static_order())


def _comes_after(phase: Phase, other: str) -> bool:
    if other == phase.name:
        return False
    return other == FIRST or any(matches(other, selector) for selector in phase.after)


def _choose(
    phases: Mapping[str, Phase], request: ComposeRequest, treefiles: Mapping[Target, ResolvedTreefile]
) -> tuple[list[Node], dict[Node, str]]:
    selected = _selected(phases, request)
    chosen: list[Node] = []
    skipped: dict[Node, str] = {}
    for name, phase in phases.items():
        for node in _nodes(phase, treefiles):
            if any(matches(name, selector) for selector in request.skip_phases):
                skipped[node] = "--skip-phase"
            elif name not in selected:
                skipped[node] = "--just-phase"
            elif phase.wanted(request, treefiles[node.target] if node.target else None):
                chosen.append(node)
    return chosen, skipped


def _with_needs(phases: Mapping[str, Phase], selectors: Sequence[str]) -> set[str]:
    """Phases that `selectors` mean, with all that those need, directly or not."""
    found: set[str] = set()
    open_ = [name for name in phases if any(matches(name, selector) for selector in selectors)]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += [need for need in phases[name].needs if need in phases]
    return found


def _nodes(phase: Phase, treefiles: Mapping[Target, ResolvedTreefile]) -> list[Node]:
    if phase.scope is Scope.COMPOSE:
        return [Node(phase.name)]
    return [Node(phase.name, target) for target in sorted(treefiles)]


def _counterparts(node: Node, names: Set[str], present: Mapping[Node, object]) -> frozenset[Node]:
    """Nodes of the phases `names` that concern `node`: of its target and of the compose, or, for the compose, all."""
    return frozenset(
        other
        for other in present
        if other.phase in names and (node.target is None or other.target in (None, node.target))
    )
