"""Refs by which composes keep their commits in the work repository, and what `gc` does with them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.state.garbage import Kept, Removed
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.quiet import quiet
from deb_bootc_compose.tools.port import Tools

PREFIX = "compose"
"""Refs are `compose/COMPOSE-ID/TARGET`."""


class WorkRefs:
    """A `Collector`: lets go of commits that no compose and no finished phase needs."""

    def __init__(self, state: State, open_tools: Callable[[], Awaitable[Tools]]) -> None:
        self._state = state
        self._open_tools = open_tools

    async def collect(self, kept: Kept, *, dry_run: bool) -> Sequence[Removed]:
        """Removes nothing while a compose runs: what it commits has no ref for an instant."""
        commits = {str(facts.get("commit")) for phase, facts in kept.facts if phase == "ostree"}
        unused = await asyncio.to_thread(lambda: list(self._unused(kept.composes, commits)))
        removed = [Removed("commit", ref, 0, "no compose needs it") for ref in unused]
        if dry_run or not unused:
            return removed
        with quiet(self._state) as is_quiet:
            if not is_quiet:
                return []
            repository = OstreeRepository(self._state.work_repository, await self._open_tools())
            for ref in unused:
                await repository.delete_ref(ref)
            await repository.ostree("prune", "--refs-only", "--depth=0", writes=True)
            await repository.forget_listings()
        return removed

    def _unused(self, composes: frozenset[str], commits: set[str]) -> Iterator[str]:
        heads = self._state.work_repository / "refs" / "heads"
        for path in sorted((heads / PREFIX).glob("*/*")):
            if path.parent.name not in composes and path.read_text().strip() not in commits:
                yield str(path.relative_to(heads))
