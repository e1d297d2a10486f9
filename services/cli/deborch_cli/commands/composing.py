"""Submitting a compose, and what several commands on composes end with."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from deborch_cli.exit_codes import ExitCode
from deborch_cli.options import new_key
from deborch_cli.output import Duration, note
from deborch_cli.output.cells import printable, rich
from deborch_cli.output.humanise import size
from deborch_cli.output.printer import stdout
from deborch_cli.session import Session
from deborch_cli.transfer.progress import transfer_bars
from deborch_cli.transfer.upload import LocalFile, upload
from deborch_cli.watching.composes import compose_view, watch_compose
from deborch_shared.contract.composes import Compose, ComposeCreate
from deborch_shared.contract.states import ComposeState, PhaseState


async def submit_compose(
    session: Session, wanted: ComposeCreate, files: Sequence[LocalFile], *, as_json: bool
) -> Compose:
    """Upload what the hub lacks and ask for the compose."""
    await upload_tree(session, files, as_json=as_json)
    return await session.hub.post("/api/v1/composes", Compose, wanted, idempotency_key=new_key())


async def upload_tree(session: Session, files: Sequence[LocalFile], *, as_json: bool) -> None:
    """Bring a treefile's files to the hub."""
    with transfer_bars("upload", {file.name: file.size_bytes for file in files}, shown=not as_json) as moved:
        new = [file for file in files if await upload(session.hub, file, moved=moved)]
    amount = size(sum(file.size_bytes for file in new))
    said = f"uploaded {len(new)} of {len(files)} files, {amount}" if new else f"the hub has all {len(files)} files"
    note(said, as_json=as_json)


async def watch_and_tell_compose(session: Session, compose_id: int, *, as_json: bool) -> ExitCode:
    """Look on until the compose is over, then say how it ended and what to do next; its exit code."""
    try:
        with compose_view(as_json=as_json) as view:
            compose = await watch_compose(session.hub, compose_id, view)
    except asyncio.CancelledError:
        note(f"compose {compose_id} goes on; to look on again or to end it: deborch compose watch|cancel {compose_id}")
        raise
    if not as_json:
        _tell(compose)
    return ExitCode.OK if compose.state.is_finished else ExitCode.FAILED


def _tell(compose: Compose) -> None:
    took = rich(Duration.between(compose.created_at, compose.ended_at)).plain
    said = f": {compose.message}" if compose.message and compose.state is not ComposeState.FINISHED else ""
    stdout().print(printable(f"compose {compose.id} {compose.name} {compose.state} after {took}{said}"), soft_wrap=True)
    if compose.state.is_finished:
        note(f"fetch the files: deborch compose download {compose.id}")
        if compose.commits or compose.images:
            note(f"give it to users: deborch compose promote {compose.id}")
        return
    for phase in compose.phases:
        if phase.state is PhaseState.FAILED:
            node = f"{phase.phase}.{phase.target}" if phase.target else phase.phase
            note(f"read on: deborch compose log {compose.id} {node}")
    note(f"try again: deborch compose resume {compose.id}")


def lock_file_name(lockfile: Path | None, treefile: Path) -> str | None:
    """The lock file relative to the treefile's directory, which it has to be in."""
    return None if lockfile is None else str(lockfile.resolve().relative_to(treefile.parent.resolve()))
