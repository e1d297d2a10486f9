"""`deb-bootc-compose history` and `rollback`: refs of the published repository."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deb_bootc_compose.cli.engines import tools_of
from deb_bootc_compose.cli.finish import finish, write_json
from deb_bootc_compose.cli.options import DEFAULT_STATE_DIR, AsJson, StateDir
from deb_bootc_compose.cli.tables import print_whole
from deb_bootc_compose.commits.repository import CommitInfo
from deb_bootc_compose.promote.acts import history, open_published, roll_back
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.outputs import OstreeSettings

app = typer.Typer()
Ref = Annotated[str, typer.Argument(metavar="REF", help="Such as debian/trixie/amd64/minimal.")]
Repository = Annotated[
    Path | None, typer.Option("--repo", metavar="DIRECTORY", help="Of clients; else that of the state directory.")
]


@app.command("history")
def show_history(
    ref: Ref, repo: Repository = None, state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False
) -> None:
    """List the versions of a published ref, newest first."""
    commits = finish(_history(State(state_dir.absolute()), repo, ref), as_json=as_json)
    if as_json:
        write_json([asdict(info) for info in commits])
        return
    table = Table("version", "commit", "newest package", box=None, pad_edge=False)
    for info in commits:
        date = datetime.fromtimestamp(info.epoch, UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row((info.version or "-").replace("[", r"\["), info.commit[:16], date)
    print_whole(Console(highlight=False), table)


@app.command("rollback")
def roll_ref_back(
    ref: Ref,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="A version of its history, or the begin of a commit; else the one before."
        ),
    ] = None,
    sign: Annotated[str | None, typer.Option(metavar="FINGERPRINT", help="OpenPGP key that signs the summary.")] = None,
    repo: Repository = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Have a published ref at an earlier commit again."""
    before, now = finish(_rolled_back(State(state_dir.absolute()), repo, ref, to, sign), as_json=as_json)
    if as_json:
        write_json({"ref": ref, "from": before, "to": now})
    else:
        Console(soft_wrap=True, highlight=False).print(f"{ref}: {before[:12]} -> {now[:12]}")


async def _history(state: State, repo: Path | None, ref: str) -> Sequence[CommitInfo]:
    return await history(_directory(state, repo), await tools_of(state), ref)


async def _rolled_back(state: State, repo: Path | None, ref: str, to: str | None, sign: str | None) -> tuple[str, str]:
    directory, tools = _directory(state, repo), await tools_of(state)
    settings = OstreeSettings(sign=sign)
    async with open_published(directory, tools, settings, lambda _: None, sign=sign is not None) as published:
        return await roll_back(published, ref, to=to)


def _directory(state: State, repo: Path | None) -> Path:
    return repo.absolute() if repo is not None else state.published_repository
