"""The phase `cleanup`: removes what killed composes left half made. Last of all."""

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.api import PhaseWork, Scope
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.state.trees import remove_abandoned


class CleanupPhase(BarePhase):
    """Once, after everything. What `gc` removes by age and size is not its business."""

    name = "cleanup"
    scope = Scope.COMPOSE
    after = ("*",)
    cacheable = False

    async def run(self, work: PhaseWork) -> JsonObject:
        work.progress.step("removing what was left half made")
        for name in await remove_abandoned(work.state):
            work.progress.log(f"removed {name}\n".encode())
        return {}
