"""Tools of the suite, run in a clean sandbox on files of the host: read-only, without network, as nobody in particular.

What a tool leaves in its workspace is as foreign as what a build leaves, and comes out in the same way.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.archives.repositories import WORKSPACE
from deb_mock.buildroots.buildroot import Buildroots, check_name
from deb_mock.layers.package_layers import PackageLayers
from deb_mock.model import BUILD_UID, Artifact, Base
from deb_mock.results.directory import ResultDirectory
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Bind


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One run of a tool."""

    run_id: str
    suite: str
    architecture: str
    packages: tuple[str, ...]
    """To install, with what they depend on."""
    argv: tuple[str, ...]
    """Run in the workspace, `repositories.WORKSPACE`."""
    shown: tuple[tuple[Path, str], ...] = ()
    """Files and directories of the host, and where they are seen."""
    taken: tuple[str, ...] = ()
    """Plain names of files in the workspace that come out, if they are there."""
    timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How it ended; negative for a signal."""

    returncode: int
    output: bytes
    taken: tuple[Artifact, ...]


class ToolRuns:
    """Runs tools."""

    def __init__(self, buildroots: Buildroots, packages: PackageLayers) -> None:
        self._buildroots = buildroots
        self._packages = packages

    async def run(self, base: Base, request: ToolRequest, results: ResultDirectory, steps: Steps) -> ToolResult:
        """Run it, and put what it leaves into `results`.

        Raises:
            DeborchError: FETCH_FAILED, DEPENDENCY_WAIT or CHROOT_FAILED if the tool cannot be installed;
                PROCESS_TIMEOUT if it takes too long.
        """
        check_name(request.run_id)
        async with AsyncExitStack() as held:
            tools = await held.enter_async_context(self._packages.with_tools(base, (), request.packages, steps))
            spec = self._buildroots.spec(request.run_id, base, layers=tools.layers)
            binds: Sequence[Bind] = [Bind(source, target) for source, target in request.shown]
            sandbox = await held.enter_async_context(open_sandbox(replace(spec, binds=(*spec.binds, *binds))))
            ended = await sandbox.run(
                request.argv, uid=BUILD_UID, cwd=WORKSPACE, timeout_s=request.timeout_s, check=False
            )
            taken = await asyncio.to_thread(_take, sandbox.workspace_fd, request.taken, results)
        return ToolResult(ended.returncode, ended.output, taken)


def _take(workspace_fd: int, names: Sequence[str], results: ResultDirectory) -> tuple[Artifact, ...]:
    taken = []
    for name in names:
        try:
            taken.append(results.take(workspace_fd, name))
        except DeborchError:
            continue
    return tuple(taken)
