"""The phase `promote.latest`: `latest-NAME` points to this compose. The last thing that becomes visible."""

import asyncio

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.api import PhaseWork, Scope
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.compose_directory import move_latest
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class PromoteLatest(BarePhase):
    """Once, when everything else is public."""

    name = "promote.latest"
    scope = Scope.COMPOSE
    needs = ("ostree",)
    after = ("lint", "test", "output", "metadata", "promote.refs", "promote.tags")
    cacheable = False

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return request.promote

    async def run(self, work: PhaseWork) -> JsonObject:
        """Move the link, by one rename."""
        name = next(iter(work.treefiles.values())).name
        await asyncio.to_thread(move_latest, work.state, name, work.compose_id)
        return {"latest": name}
