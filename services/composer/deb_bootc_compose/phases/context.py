"""What all phases of one running compose have in common."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.api import Phase, PhaseResult, Target
from deb_bootc_compose.phases.events import Observer
from deb_bootc_compose.phases.graph import Graph, Node
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.compose_directory import ComposeDirectory
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.records import RecordStore
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.clock import Clock


@dataclass(slots=True)
class ComposeRun:
    """One run of a compose, in this process."""

    request: ComposeRequest
    phases: Mapping[str, Phase]
    graph: Graph
    treefiles: Mapping[Target, ResolvedTreefile]
    compose: ComposeDirectory
    state: State
    tools: Tools
    epoch: int
    services: Mapping[str, object]
    observer: Observer
    clock: Clock
    users: ExitStack
    """Holds the records in use until the end of the run."""
    before: Mapping[str, JsonObject] = field(default_factory=dict)
    """What an earlier run of the same compose finished, by node."""
    results: dict[Node, PhaseResult] = field(default_factory=dict)
    made: set[tuple[str, str]] = field(default_factory=set)
    """Records that this run has made or used, so that `force` makes each of them once."""

    @property
    def store(self) -> RecordStore:
        return RecordStore(self.state)

    def treefile_of(self, node: Node) -> ResolvedTreefile | None:
        return self.treefiles[node.target] if node.target else None
