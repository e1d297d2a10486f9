"""`deb-bootc-compose compose` and `resume`."""

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from deb_bootc_compose.cli.engines import engine_of
from deb_bootc_compose.cli.finish import finish, finished, show_error, write_json
from deb_bootc_compose.cli.live import Shown, watcher
from deb_bootc_compose.cli.options import DEFAULT_STATE_DIR, Allowed, AsJson, StateDir, TreefilePath, Variables, asked
from deb_bootc_compose.cli.requested import write_requested
from deb_bootc_compose.cli.tables import print_whole
from deb_bootc_compose.engine import ComposeResult, Engine
from deb_bootc_compose.failures import EXIT_CODES, EXIT_UNKNOWN, FailureClass, exit_code, failure
from deb_bootc_compose.phases.request import ComposeRequest, ComposeStatus, ComposeType, TestKind
from deb_bootc_compose.treefile.outputs import OutputKind
from deborch_shared.errors import ErrorCode

app = typer.Typer()

Workers = Annotated[int | None, typer.Option("--workers", "-j", min=1, max=64, help="Phases at once; 1: one by one.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="The logs of the phases too.")]
_DEFAULT_WORKERS = 2


@app.command()
def compose(  # noqa: PLR0917 - typer reads the parameters as options
    treefile: TreefilePath,
    variants: Annotated[list[str] | None, typer.Option("--variant", help="Name or pattern; none: all.")] = None,
    architectures: Annotated[list[str] | None, typer.Option("--arch", help="Or pattern; none: this machine's.")] = None,
    variables: Variables = None,
    allowed: Allowed = None,
    outputs: Annotated[list[OutputKind] | None, typer.Option("--output", help="Instead of the treefile's.")] = None,
    tests: Annotated[list[TestKind] | None, typer.Option("--test", help="Start what was made in qemu.")] = None,
    kind: Annotated[ComposeType, typer.Option("--type", help="Goes into the compose id.")] = ComposeType.DEVELOPMENT,
    label: Annotated[str | None, typer.Option(help="Such as RC-1.0.")] = None,
    version: Annotated[str | None, typer.Option(help="Of the tree.")] = None,
    parent: Annotated[str | None, typer.Option(help="Commit that the ref has to be at.")] = None,
    lockfile: Annotated[Path | None, typer.Option(help="Take the versions that it names.", exists=True)] = None,
    lockfile_strict: Annotated[bool, typer.Option(help="Nothing that the lock file does not name.")] = False,
    skip_phases: Annotated[list[str] | None, typer.Option("--skip-phase", help="Name or group, as output.")] = None,
    just_phases: Annotated[list[str] | None, typer.Option("--just-phase", help="And what it needs.")] = None,
    force: Annotated[bool, typer.Option(help="Run what is finished already again.")] = False,
    fail_fast: Annotated[bool, typer.Option(help="End everything when one phase fails.")] = False,
    sign: Annotated[bool, typer.Option("--sign/--no-sign", help="With the keys of the treefile.")] = True,
    promote: Annotated[bool, typer.Option("--promote/--no-promote", help="Move refs and tags at the end.")] = True,
    dry_run: Annotated[bool, typer.Option(help="Show the phases, and run none.")] = False,
    write_commitid_to: Annotated[Path | None, typer.Option(help="File for the commit.")] = None,
    write_lockfile_to: Annotated[Path | None, typer.Option(help="File for the lock file.")] = None,
    touch_if_changed: Annotated[Path | None, typer.Option(help="File to touch if there is a new commit.")] = None,
    workers: Workers = None,
    verbose: Verbose = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Make all that a treefile asks for. What is finished and unchanged is not made again."""
    fields = {
        "treefile": treefile.absolute(),
        "allowed": [directory.absolute() for directory in allowed or ()],
        "variants": variants or (),
        "architectures": architectures or (),
        "outputs": outputs or None,
        "tests": tests or (),
        "type": kind,
        "label": label,
        "version": version,
        "parent": parent,
        "lockfile": lockfile.absolute() if lockfile else None,
        "lockfile_strict": lockfile_strict,
        "skip_phases": skip_phases or (),
        "just_phases": just_phases or (),
        "force": force,
        "fail_fast": fail_fast,
        "sign": sign,
        "promote": promote,
        "workers": workers or _DEFAULT_WORKERS,
        "source_date_epoch": os.environ.get("SOURCE_DATE_EPOCH"),
    }
    with finished(as_json=as_json):
        request = _request(variables=asked(treefile, variables, allowed).variables, **fields)
        engine = engine_of(state_dir)
        if dry_run:
            _show_plan(engine, request, as_json=as_json)
            return
        shown = watcher(as_json=as_json, logs=verbose)
        result = _watched(engine.compose(request, shown), shown, as_json=as_json)
        write_requested(result, commit=write_commitid_to, lock=write_lockfile_to, changed=touch_if_changed)
        _end(result, as_json=as_json)


@app.command()
def resume(
    compose_id: Annotated[str, typer.Argument(help="See `list`.")],
    workers: Workers = None,
    verbose: Verbose = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Go on with a compose that failed, was interrupted or killed."""
    with finished(as_json=as_json):
        shown = watcher(as_json=as_json, logs=verbose)
        resumed = engine_of(state_dir).resume(compose_id, shown, workers=workers)
        _end(_watched(resumed, shown, as_json=as_json), as_json=as_json)


def _watched(work: Coroutine[Any, Any, ComposeResult], shown: Shown, *, as_json: bool) -> ComposeResult:
    try:
        with shown.shown():
            return finish(work, as_json=as_json)
    except typer.Exit as ended:
        if ended.exit_code == EXIT_CODES[FailureClass.CANCELED] and not as_json:
            hint = f"TERMINATED; `deb-bootc-compose resume {shown.compose_id}` goes on with it"
            Console(stderr=True).print(hint, markup=False, highlight=False, soft_wrap=True)
        raise


def _end(result: ComposeResult, *, as_json: bool) -> None:
    """Say how it ended; the exit code is that of the first thing that the compose cannot do without."""
    if not as_json:
        console = Console(stderr=True)
        for error in result.errors:
            show_error(error, console)
        good = result.status in {ComposeStatus.FINISHED, ComposeStatus.FINISHED_INCOMPLETE}
        console.print(f"{result.status} after {result.seconds:.1f} s", style="green" if good else "bold red")
        if not good:
            hint = f"deb-bootc-compose resume {result.compose_id} goes on with it; logs: {result.directory.logs}"
            console.print(hint, markup=False, highlight=False, soft_wrap=True)
        print(result.directory.path)  # noqa: T201 - the result, on stdout
    if result.status is ComposeStatus.DOOMED:
        raise typer.Exit(exit_code(result.errors[0]) if result.errors else EXIT_UNKNOWN)


def _request(**fields: object) -> ComposeRequest:
    try:
        return ComposeRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"{name}: {first['msg']}",
            hint="see `deb-bootc-compose compose --help`",
        ) from error


def _show_plan(engine: Engine, request: ComposeRequest, *, as_json: bool) -> None:
    graph = engine.plan(request)
    if as_json:
        write_json(
            {"phases": [str(node) for node in graph.order], "skipped": {str(k): v for k, v in graph.skipped.items()}}
        )
        return
    table = Table("phase", "target", "waits for", box=None, pad_edge=False, header_style="bold")
    for node in graph.order:
        table.add_row(node.phase, str(node.target or ""), ", ".join(sorted({n.phase for n in graph.waits[node]})))
    for node, why in graph.skipped.items():
        table.add_row(node.phase, str(node.target or ""), f"left out: {why}", style="dim")
    print_whole(Console(highlight=False), table)
