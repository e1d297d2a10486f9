"""Running programs of the tree in the tree: no network, no path of the host, nothing outside it to be written."""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.ostree.tree import Tree
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import OutputSink, ProcessResult
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sandbox.spec import Filtering, Lower, SandboxSpec, work_directory

_WORKSPACE = "/run/compose"
"""The tree's /run is emptied at the end."""
_LAST_LINES, _LAST_CHARACTERS = 15, 1500


@dataclass(frozen=True, slots=True)
class TreeRoom:
    """Commands see the tree as their root. What they change in it stays."""

    sandbox: Sandbox
    on_output: OutputSink
    epoch: int

    async def run(
        self,
        what: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> ProcessResult:
        """Run `argv`; `what` is how errors call it.

        Raises:
            DeborchError: PROCESS_FAILED or PROCESS_TIMEOUT of class TREE, with the last lines of the output.
        """
        environment = {
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "DEBIAN_FRONTEND": "noninteractive",
            "SYSTEMD_OFFLINE": "1",
            "HOME": "/root",
            **(env or {}),
        }
        try:
            return await self.sandbox.run(argv, env=environment, on_output=self.on_output, timeout_s=timeout_s)
        except DeborchError as error:
            if error.code not in {ErrorCode.PROCESS_FAILED, ErrorCode.PROCESS_TIMEOUT}:
                raise
            raise _explained(what, error) from error


def _explained(what: str, error: DeborchError) -> DeborchError:
    output = str(error.fields.get("output", "")).strip()
    if error.fields.get("reason") == "start" or not output:
        said = error.message
    else:
        said = bounded("\n".join(output.splitlines()[-_LAST_LINES:]), _LAST_CHARACTERS)
    code = error.fields.get("returncode")
    how = f" with exit code {code}" if code is not None else ""
    return failure(
        FailureClass.TREE,
        error.code,
        f"{what} failed{how}: {said}",
        hint="its first line names a program that is not in the tree: add the package that has it"
        if error.fields.get("reason") == "start"
        else "these are its last lines; it runs in the tree, with no network and nothing of the host",
        returncode=code,
        output=output,
    )


@asynccontextmanager
async def room_in(tree: Tree, place: Path, on_output: OutputSink, epoch: int) -> AsyncIterator[TreeRoom]:
    """Have the tree as a root for programs; `place` is a directory beside it for what that needs.

    The tree is the upper layer over an empty one, so that every change is made in it.
    """
    nothing = place / "nothing"
    nothing.mkdir(parents=True)
    spec = SandboxSpec(
        directory=place / "room",
        lowers=(Lower(nothing, map_ids=False),),
        upper=tree.root,
        persistent=True,
        workspace=_WORKSPACE,
        hostname="compose",
        filtering=Filtering.PREFERRED,
        no_sync=True,
    )
    try:
        async with open_sandbox(spec) as sandbox:
            yield TreeRoom(sandbox, on_output, epoch)
    finally:
        shutil.rmtree(work_directory(tree.root), ignore_errors=True)
        shutil.rmtree(nothing, ignore_errors=True)
