"""`deb-bootc-compose list`, `gc` and `export`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deb_bootc_compose.cli.engines import collectors_of
from deb_bootc_compose.cli.finish import finish, write_json
from deb_bootc_compose.cli.options import DEFAULT_STATE_DIR, AsJson, StateDir
from deb_bootc_compose.cli.tables import print_whole, whole_lines
from deb_bootc_compose.state.compose_directory import open_compose
from deb_bootc_compose.state.export import export
from deb_bootc_compose.state.garbage import Garbage, Limits, Removed
from deb_bootc_compose.state.inventory import ListedCompose, take_inventory
from deb_bootc_compose.state.layout import State

app = typer.Typer()
ComposeId = Annotated[str, typer.Argument(help="See `list`; latest-NAME too.")]
_STYLES = {"FINISHED": "green", "FINISHED_INCOMPLETE": "yellow", "STARTED": "cyan"}


@app.command("list")
def list_composes(state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Show all composes and how they stand."""
    found = take_inventory(State(state_dir.absolute()))
    if as_json:
        write_json([asdict(compose) for compose in found])
        return
    _show_composes(found)


@app.command()
def gc(
    keep: Annotated[int, typer.Option(min=1, help="Composes of each name that stay.")] = 5,
    max_age_days: Annotated[float, typer.Option(min=0, help="What was not used for longer goes.")] = 30.0,
    max_size_mib: Annotated[int | None, typer.Option(min=0, help="Of finished phases and caches together.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would go.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove old composes, and what no compose needs. Never what runs, is kept (a file KEEP in it) or is the latest."""
    limits = Limits(keep, max_age_days, None if max_size_mib is None else max_size_mib << 20)
    state = State(state_dir.absolute())
    garbage = Garbage(state, limits, dry_run=dry_run)
    removed = finish(garbage.collect(collectors_of(state)), as_json=as_json)
    if as_json:
        write_json({"dry_run": dry_run, "removed": [asdict(item) for item in removed]})
        return
    _show_removed(removed, dry_run=dry_run)


@app.command("export")
def export_compose(
    compose_id: ComposeId,
    directory: Annotated[Path, typer.Argument(help="Empty or not there.")],
    copy: Annotated[bool, typer.Option(help="Copy; otherwise files are linked where that can be.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Put what a compose delivers into a directory, with checksums."""

    async def work() -> list[str]:
        compose = open_compose(State(state_dir.absolute()), compose_id)
        with Console(stderr=True).status("exporting") as status:
            return await asyncio.to_thread(
                export, compose, directory.absolute(), copy=copy, on_file=lambda name: status.update(Text(name))
            )

    names = finish(work(), as_json=as_json)
    if as_json:
        write_json({"directory": str(directory.absolute()), "files": names})
    else:
        Console().print(Text(f"{len(names)} files are in {directory}; sha256sum --check SHA256SUMS proves them"))


def _show_composes(found: list[ListedCompose]) -> None:
    """A line each, and one below it for what may be long: nothing is cut, however narrow the terminal is."""
    table = Table("compose", "status", "began", "size", box=None, pad_edge=False, header_style="bold")
    for compose in found:
        began = f"{compose.began_at:%Y-%m-%d %H:%M}" if compose.began_at else ""
        status = Text(compose.status, style=_STYLES.get(compose.status, "red"))
        table.add_row(Text(compose.compose_id), status, began, _mib(compose.size_bytes))
    console = Console()
    head, *rows = whole_lines(console, table)
    console.print(head, soft_wrap=True)
    for compose, row in zip(found, rows, strict=True):
        console.print(row, soft_wrap=True)
        below = "; ".join(filter(None, [", ".join(compose.targets), _notes(compose)]))
        if below:
            console.print(Padding(Text(below, style="dim"), (0, 0, 0, 2), expand=False))


def _notes(compose: ListedCompose) -> str:
    notes = [
        "running" if compose.is_running else "",
        "was killed: resume it" if compose.was_killed else "",
        f"latest-{compose.latest_of}" if compose.latest_of else "",
        "kept" if compose.is_kept else "",
        f"failed: {', '.join(compose.failed)}" if compose.failed else "",
    ]
    return "; ".join(note for note in notes if note)


def _show_removed(removed: list[Removed], *, dry_run: bool) -> None:
    table = Table("what", "name", "size", "why", box=None, pad_edge=False, header_style="bold")
    for item in removed:
        table.add_row(item.kind, Text(item.name), _mib(item.size_bytes), item.why)
    console = Console()
    if removed:
        print_whole(console, table)
    total = _mib(sum(item.size_bytes for item in removed))
    console.print(f"{len(removed)} things, {total} {'would go' if dry_run else 'are gone'}", highlight=False)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"
