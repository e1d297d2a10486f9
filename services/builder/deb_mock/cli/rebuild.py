"""`deb-mock rebuild`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deb_mock.cli.configured import current
from deb_mock.cli.finish import finish
from deb_mock.cli.options import EPILOG, AsJson, CacheDir, StateDir, engine_config, read_repository, required_codename
from deb_mock.cli.progress import Progress
from deb_mock.engine import Engine
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.host.privileges import require_root
from deb_mock.reproducibility.buildinfo import read_buildinfo
from deb_mock.reproducibility.rebuild import RebuildRequest, RebuildResult, Rebuilds, snapshot_repository

app = typer.Typer()


@app.command(epilog=EPILOG)
def rebuild(  # noqa: PLR0917 - typer reads the parameters as options
    buildinfo: Annotated[Path, typer.Option("--from", help="The .buildinfo of the build to repeat.")],
    source: Annotated[Path | None, typer.Option(help="The .dsc; else beside the .buildinfo, or of the suite.")] = None,
    suite: Annotated[str, typer.Option(help="Debian suite to build in; the host's own if not given.")] = "",
    result_dir: Annotated[
        Path | None, typer.Option(help="New or empty; default: NAME_rebuild, new files replace old.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Add the results to a directory that has files.")] = False,
    extra_repository: Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")] = None,
    snapshot: Annotated[
        str, typer.Option(envvar="DEB_MOCK_SNAPSHOT", help="Archive with old versions; {timestamp} is Build-Date.")
    ] = "",
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Where a version cannot be had, take the one that can.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that the build may take.")] = 6 * 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Repeat the build of a .buildinfo with the same versions, and compare the hashes."""
    config = engine_config(state_dir, cache_dir, mirror)
    results = (result_dir or Path(f"{buildinfo.stem}_rebuild")).absolute()

    async def work() -> RebuildResult:
        require_root()
        info = read_buildinfo(buildinfo)
        codename, components = suite or required_codename(), current().settings.components
        repositories = [read_repository(path) for path in extra_repository or ()]
        if snapshot:
            repositories.append(snapshot_repository(snapshot, info, codename, components, config.keyring))
        request = RebuildRequest(
            rebuild_id=f"rebuild-{os.getpid()}",
            info=info,
            near=buildinfo.absolute().parent,
            dsc=source.absolute() if source else None,
            suite=codename,
            result_dir=results,
            failed_dir=results.with_name(f"{results.name}_failed"),
            merge_results=merge or result_dir is None,
            repositories=tuple(repositories),
            or_nearest=nearest,
            components=components,
            timeout_s=timeout,
        )
        engine = Engine(config)
        results.parent.mkdir(parents=True, exist_ok=True)
        with Progress(verbose=verbose) as progress:
            try:
                await engine.recover()
                result = await Rebuilds(engine).run(request, on_log=progress.on_log, on_stage=progress.on_stage)
            finally:
                await engine.close()
        if not as_json:
            _show(result)
        result.require_reproducible()
        return result

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201


def _show(result: RebuildResult) -> None:
    console = Console()
    for name in result.missing_versions:
        console.print(f"not to be had, another version taken: {name}", style="yellow", highlight=False)
    if result.also_installed:
        count = len(result.also_installed)
        console.print(f"{count} more packages than it names were there; rebuild.json lists them", style="dim")
    for file in result.files:
        verdict, style = ("same", "green") if file.is_same else ("DIFFERS", "bold red")
        console.print(f"{verdict:8}", style=style, end="", highlight=False)
        console.print(
            f"{file.name}  {file.first_sha256[:16] or '-'}  {file.second_sha256[:16] or '-'}", highlight=False
        )
