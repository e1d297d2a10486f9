"""`deb-mock doctor`."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deb_mock.cli.configured import current
from deb_mock.cli.options import AsJson, CacheDir, StateDir, engine_config
from deb_mock.doctor.examination import examine
from deb_mock.doctor.finding import Finding, Status, Subject
from deb_mock.failures import EXIT_CODES, FailureClass
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.host.rootless import refusal

app = typer.Typer()
_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


@app.command(epilog="Exit codes: 0 builds work here, 6 they do not.")
def doctor(
    suite: Annotated[str, typer.Option(help="Suite to build for; the host's own if not given.")] = "",
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Try what builds need on this host, and tell what to do about what does not work."""
    subject = Subject(engine_config(state_dir, cache_dir, mirror), suite or current().settings.suite, refusal())
    findings = list(examine(subject))
    works = all(finding.status is not Status.PROBLEM for finding in findings)
    if as_json:
        print(json.dumps({"builds_work": works, "findings": [asdict(finding) for finding in findings]}))  # noqa: T201
    else:
        _show(findings, works=works)
    raise typer.Exit(0 if works else EXIT_CODES[FailureClass.CHROOT])


def _show(findings: Iterable[Finding], *, works: bool) -> None:
    table = Table("", "what", Column("found", overflow="fold"), show_edge=False, pad_edge=False)
    for finding in findings:
        found = Text(finding.found)
        if finding.fix:
            found.append(f"\n-> {finding.fix}", style="cyan")
        table.add_row(Text(finding.status, style=_STYLES[finding.status]), finding.name, found)
    console = Console()
    console.print(table)
    console.print(
        Text("builds work here" if works else "builds do not work here", style="green" if works else "bold red")
    )
