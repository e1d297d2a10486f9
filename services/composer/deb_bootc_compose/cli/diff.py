"""`deb-bootc-compose diff`."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deb_bootc_compose.cli.engines import committed_trees
from deb_bootc_compose.cli.finish import finish, write_json
from deb_bootc_compose.cli.options import DEFAULT_STATE_DIR, AsJson, StateDir
from deb_bootc_compose.cli.tables import print_whole
from deb_bootc_compose.comparison.composes import TargetChanges, compare_composes
from deb_bootc_compose.comparison.packages import Change
from deb_bootc_compose.state.compose_directory import open_compose
from deb_bootc_compose.state.layout import State

app = typer.Typer()
_STYLES = {
    Change.ADDED: "green",
    Change.REMOVED: "red",
    Change.UPGRADED: "cyan",
    Change.DOWNGRADED: "yellow",
    Change.CHANGED: "yellow",
}
_SHOWN_FILES = 40


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A compose, or latest-NAME.")],
    after: Annotated[str, typer.Argument(metavar="B")],
    files: Annotated[bool, typer.Option(help="Files of the trees too.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what B has that A has not: packages, sizes of images, and files."""

    async def work() -> list[TargetChanges]:
        state = State(state_dir.absolute())
        trees = await committed_trees(state) if files else None
        return await compare_composes(open_compose(state, before), open_compose(state, after), trees)

    found = finish(work(), as_json=as_json)
    if as_json:
        write_json([asdict(changes) for changes in found])
        return
    for changes in found:
        _show(changes, Console())


def _show(changes: TargetChanges, console: Console) -> None:
    title = f"{changes.target}: {changes.change}" if changes.change else changes.target
    console.print(Text(title, style="bold"))
    old, new = changes.commits
    commits = f"  commit {_begin(old)} -> {_begin(new)}" if old != new else f"  the same commit, {_begin(new)}"
    console.print(Text(commits), soft_wrap=True)
    table = Table("  package", "before", "after", "KiB", box=None, pad_edge=False, header_style="bold")
    for package in changes.packages:
        grown = f"{package.installed_kib:+d}"
        name = Text(f"  {package.name}:{package.architecture}", style=_STYLES[package.change])
        table.add_row(name, package.before or "", package.after or "", grown)
    if changes.packages:
        print_whole(console, table)
    for size in changes.sizes:
        console.print(Text(f"  {size.name}: {_bytes(size.before_bytes)} -> {_bytes(size.after_bytes)}"))
    for file in (changes.files or ())[:_SHOWN_FILES]:
        console.print(Text(f"  {file.change:<8} {file.path}", style=_STYLES[file.change]))
    left_out = len(changes.files or ()) - _SHOWN_FILES
    if left_out > 0:
        console.print(Text(f"  and {left_out} files more: --json has all"))


def _begin(commit: str | None) -> str:
    return commit[:16] if commit else "none"


def _bytes(size_bytes: int | None) -> str:
    return "none" if size_bytes is None else f"{size_bytes} bytes"
