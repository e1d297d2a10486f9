"""`deb-bootc-compose lint`: the checks of `bootc container lint`, on an image or a root directory."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deb_bootc_compose.cli.finish import finished
from deb_bootc_compose.cli.options import AsJson
from deb_bootc_compose.failures import EXIT_CODES, FailureClass
from deb_bootc_compose.lint.report import Finding, Verdict, failed, lint
from deb_bootc_compose.lint.root import open_root

app = typer.Typer()
_COLOURS = {Verdict.PASSED: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red", Verdict.NOT_CHECKED: "dim"}


@app.command("lint")
def lint_root(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="An .ociarchive, or the root directory of a tree.")],
    fatal_warnings: Annotated[bool, typer.Option("--fatal-warnings", help="Fail for warnings too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Apply the checks of `bootc container lint`, by the same names, and say which could not be made."""
    with finished(as_json=as_json):
        findings = lint(open_root(root))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))  # noqa: T201
    else:
        _show(findings)
    warned = fatal_warnings and any(finding.verdict is Verdict.WARNING for finding in findings)
    if warned or failed(findings) is not None:
        raise typer.Exit(EXIT_CODES[FailureClass.LINT])


def _show(findings: list[Finding]) -> None:
    table = Table("check", "", "what", box=None, pad_edge=False)
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        # names of files are foreign: no markup in them, and no byte that a terminal cannot show
        texts = "\n".join(finding.texts).encode("utf-8", "backslashreplace").decode()
        table.add_row(finding.name, f"[{colour}]{finding.verdict}[/{colour}]", texts.replace("[", r"\["))
    Console().print(table)
