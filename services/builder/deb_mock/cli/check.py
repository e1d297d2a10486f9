"""`deb-mock check`."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deb_mock.cli.build import Mode
from deb_mock.cli.finish import finish
from deb_mock.cli.options import (
    EPILOG,
    AsJson,
    CacheDir,
    StateDir,
    configured_request,
    engine_config,
    native_architecture,
    read_repository,
    required_codename,
)
from deb_mock.cli.progress import Progress
from deb_mock.engine import Engine
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR, default_jobs
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest, Surroundings
from deb_mock.reproducibility.check import CheckResult, ReproducibilityCheck
from deb_mock.reproducibility.variations import VARIATIONS
from deb_mock.sources.arguments import understand

app = typer.Typer()
_VARY = f"What differs, such as -time,+locale. There are: {', '.join(variation.name for variation in VARIATIONS)}."


@app.command(epilog=EPILOG)
def check(  # noqa: PLR0917 - typer reads the parameters as options
    source: Annotated[str, typer.Argument(help="A .dsc, a directory with debian/, or NAME[=VERSION] of the suite.")],
    vary: Annotated[str, typer.Option(help=_VARY)] = "all",
    suite: Annotated[str, typer.Option(help="Debian suite to build for; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; the host's own if not given.")] = "",
    result_dir: Annotated[Path | None, typer.Option(help="New directory for both builds and what differs.")] = None,
    extra_repository: Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")] = None,
    build_path: Annotated[str, typer.Option(help="Of the source in the first build; DIR/ adds NAME-VERSION.")] = "",
    mode: Annotated[Mode, typer.Option(help="Architecture-dependent packages, independent ones, or both.")] = Mode.BOTH,
    profile: Annotated[list[str] | None, typer.Option(help="Build profile, such as nodoc.")] = None,
    build_option: Annotated[list[str] | None, typer.Option(help="Word for DEB_BUILD_OPTIONS, such as nocheck.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Parallel jobs; by processors and memory.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that each build may take.")] = 6 * 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    tmpfs_mib: Annotated[int | None, typer.Option(min=0, help="Memory for the build's files; 0: on disk.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a source package twice in different surroundings, and show what differs."""
    config = engine_config(state_dir, cache_dir, mirror)
    config = replace(
        config,
        tmpfs_bytes=config.tmpfs_bytes if tmpfs_mib is None else (tmpfs_mib << 20) or None,
    )
    results = (result_dir or Path(f"{_stem(source)}_check")).absolute()

    async def work() -> CheckResult:
        require_root()
        request = BuildRequest(
            build_id=f"check-{os.getpid()}",
            dsc=Path(),
            source_dir=Path(),
            suite=suite or required_codename(),
            architecture=arch or await native_architecture(),
            result_dir=results,
            failed_dir=results.with_name(f"{results.name}_failed"),
            mode=mode.value,
            extra_sources=tuple(read_repository(path) for path in extra_repository or ()),
            parallel=jobs or default_jobs(),
            timeout_s=timeout,
            profiles=tuple(profile or ()),
            build_options=tuple(build_option or ()),
            surroundings=Surroundings(build_path=build_path),
        )
        engine = Engine(config)
        checks = ReproducibilityCheck(engine, in_memory=config.tmpfs_bytes is not None)
        with Progress(verbose=verbose) as progress:
            try:
                await engine.recover()
                result = await checks.run(
                    configured_request(request),
                    vary,
                    understand(source),
                    on_log=progress.on_log,
                    on_stage=progress.on_stage,
                    on_build=progress.on_part,
                )
            finally:
                await engine.close()
        if not as_json:
            _show(result)
        result.require_reproducible()
        return result

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201


def _stem(source: str) -> str:
    """Names the directory of the results."""
    return Path(source.partition("=")[0]).absolute().name.removesuffix(".dsc")


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
