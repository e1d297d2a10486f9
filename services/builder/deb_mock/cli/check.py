"""`deb-mock check`."""

import json
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deb_mock.cli.build_options import (
    EngineOptions,
    Mode,
    RunOptions,
    Source,
    TargetOptions,
    TmpfsMib,
    Verbose,
    with_tmpfs,
)
from deb_mock.cli.finish import finish
from deb_mock.cli.option_groups import with_groups
from deb_mock.cli.options import EPILOG, AsJson
from deb_mock.cli.progress import Progress
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest
from deb_mock.reproducibility.check import CheckResult, ReproducibilityCheck
from deb_mock.reproducibility.variations import VARIATIONS
from deb_mock.sources.arguments import SourceArgument, understand

app = typer.Typer()
_VARY = f"What differs, such as -time,+locale. There are: {', '.join(variation.name for variation in VARIATIONS)}."


@app.command(epilog=EPILOG)
@with_groups
def check(
    source: Source,
    *,
    target: TargetOptions,
    running: RunOptions,
    engine: EngineOptions,
    vary: Annotated[str, typer.Option(help=_VARY)] = "all",
    result_dir: Annotated[Path | None, typer.Option(help="New; default: NAME_check, NAME_check-2 and so on.")] = None,
    mode: Annotated[Mode, typer.Option(help="Architecture-dependent packages, independent ones, or both.")] = Mode.BOTH,
    tmpfs_mib: TmpfsMib = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Build a source package twice in different surroundings, and show what differs."""
    config = with_tmpfs(engine.config(), tmpfs_mib)
    results = (result_dir or unused(Path(f"{_stem(source)}_check"))).absolute()

    async def work() -> CheckResult:
        require_root()
        request = running.applied(await target.request("check"))
        request = replace(
            request,
            result_dir=results,
            failed_dir=results.with_name(f"{results.name}_failed"),
            mode=mode.value,
        )
        result = await _check(config, request, vary, understand(source), verbose=verbose)
        if not as_json:
            _show(result)
        result.require_reproducible()
        return result

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201


async def _check(
    config: EngineConfig, request: BuildRequest, vary: str, argument: SourceArgument, *, verbose: bool
) -> CheckResult:
    engine = Engine(config)
    checks = ReproducibilityCheck(engine, in_memory=config.tmpfs_bytes is not None)
    with Progress(verbose=verbose) as progress:
        try:
            await engine.recover()
            return await checks.run(
                request,
                vary,
                argument,
                on_log=progress.on_log,
                on_stage=progress.on_stage,
                on_build=progress.on_part,
            )
        finally:
            await engine.close()


def _stem(source: str) -> str:
    """Names the directory of the results."""
    return Path(source.partition("=")[0]).absolute().name.removesuffix(".dsc")


def unused(directory: Path) -> Path:
    """`directory`, or with the first number that makes it one that is not there: what an earlier check found stays."""
    numbered = (directory.with_name(f"{directory.name}-{number}") for number in count(2))
    return next(path for path in chain([directory], numbered) if not path.exists())


def _show(result: CheckResult) -> None:
    console = Console()
    table = Table("varied", "first build", "second build", box=None, pad_edge=False, header_style="bold")
    for row in result.varied:
        table.add_row(*row)
    for name, why in result.left_out.items():
        table.add_row(name, f"not varied: {why}", "", style="dim")
    console.print(table)
    for file in result.files:
        verdict, style = ("same", "green") if file.is_same else ("DIFFERS", "bold red")
        console.print(f"{verdict:8}", style=style, end="", highlight=False)
        console.print(
            f"{file.name}  {file.first_sha256[:16] or '-'}  {file.second_sha256[:16] or '-'}", highlight=False
        )
