"""What most phases answer, to inherit where nothing else is meant."""

from collections.abc import Mapping
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope
from deb_bootc_compose.phases.deliverables import file_of_output
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class BarePhase:
    """In each compose, for each target, by itself, and needed."""

    name: str
    scope: Scope = Scope.TARGET
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cacheable: bool = True
    exclusive: bool = False
    version: int = 1

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return True

    def failable(self, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return False

    async def holds(self, work: PhaseWork, result: PhaseResult) -> bool:  # noqa: ARG002
        return True

    def deliverables(self, result: PhaseResult) -> Mapping[str, Path]:
        """The one file of an output, if it is one."""
        return file_of_output(result)

    async def inputs(self, work: PhaseWork) -> JsonObject:
        raise NotImplementedError

    async def run(self, work: PhaseWork) -> JsonObject:
        raise NotImplementedError
