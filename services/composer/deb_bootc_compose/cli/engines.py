"""Wiring: the engine with what it uses when it works alone."""

import os
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.commits.work_refs import WorkRefs
from deb_bootc_compose.comparison.trees import CommittedTrees
from deb_bootc_compose.engine import Engine
from deb_bootc_compose.state.garbage import Collector
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.tools.roots import Voice, open_tools
from deborch_shared.apt.host import proxies_of


def engine_of(state_dir: Path) -> Engine:
    """All installed phases, the tools root of the state directory, and the proxies of this host."""
    return Engine(State(state_dir.absolute()), open_tools=_tools)


async def committed_trees(state: State) -> CommittedTrees:
    """For `diff --files`."""
    return CommittedTrees(OstreeRepository(state.work_repository, await _tools(state, Voice())))


async def tools_of(state: State) -> Tools:
    """For acts on repositories."""
    return await _tools(state, Voice())


async def _tools(state: State, voice: Voice) -> Tools:
    return await open_tools(state, voice=voice, proxies=proxies_of(os.environ))


def collectors_of(state: State) -> tuple[Collector, ...]:
    """What `gc` asks beside the state directory itself."""
    return (WorkRefs(state, lambda: _tools(state, Voice())),)
