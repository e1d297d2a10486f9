"""`deb-bootc-compose validate`: everything that is wrong in treefiles, at once."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from deb_bootc_compose.cli.finish import finished
from deb_bootc_compose.cli.options import Allowed, AsJson, Variables, asked
from deb_bootc_compose.failures import EXIT_CODES, FailureClass
from deb_bootc_compose.treefile.resolving import TargetName, resolve_all
from deborch_shared.errors import DeborchError

app = typer.Typer()
Result = tuple[Path, list[TargetName], list[dict[str, Any]]]
"""A treefile, its targets, its problems."""


@app.command()
def validate(
    treefiles: Annotated[list[Path], typer.Argument(metavar="TREEFILE...", help="Treefiles, in YAML or JSON.")],
    variables: Variables = None,
    allow: Allowed = None,
    as_json: AsJson = False,
) -> None:
    """Check treefiles for every variant and architecture, and tell each problem with file, line and key."""
    results: list[Result] = []
    with finished(as_json=as_json):
        for treefile in treefiles:
            given = asked(treefile, variables, allow)
            try:
                results.append((treefile, list(resolve_all(given)), []))
            except DeborchError as error:
                if "problems" not in error.fields:
                    raise
                results.append((treefile, [], error.fields["problems"]))
    if as_json:
        print(json.dumps([_plain(*result) for result in results], indent=2))  # noqa: T201
    else:
        for result in results:
            _show(*result)
    if any(problems for _, _, problems in results):
        raise typer.Exit(EXIT_CODES[FailureClass.TREEFILE])


def _plain(treefile: Path, targets: list[TargetName], problems: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "treefile": str(treefile),
        "right": not problems,
        "targets": [{"variant": variant, "architecture": architecture} for variant, architecture in targets],
        "problems": problems,
    }


def _show(treefile: Path, targets: list[TargetName], problems: list[dict[str, Any]]) -> None:
    console = Console()
    if not problems:
        names = ", ".join(f"{variant}.{architecture}" for variant, architecture in targets)
        console.print(Text.assemble((f"{treefile}: right", "green"), f": {names}"), soft_wrap=True)
        return
    for problem in problems:
        line = f":{problem['line']}" if problem["line"] else ""
        place = f"{problem['file']}{line}: " if problem["file"] else ""
        joint = " " if problem["message"].startswith("is ") else ": "
        key = (problem["key"], "bold") if problem["key"] else ""
        text = Text.assemble((place, "cyan"), key, joint if problem["key"] else "", problem["message"])
        console.print(text, soft_wrap=True)
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    console.print(Text(f"{treefile}: {count}", "bold red"), soft_wrap=True)
