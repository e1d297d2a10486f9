"""`deb-mock rebuild`."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deb_mock.cli.build_options import (
    DEFAULT_TIMEOUT_S,
    EngineOptions,
    ExtraRepositories,
    Merge,
    Suite,
    Timeout,
    Verbose,
)
from deb_mock.cli.configured import current
from deb_mock.cli.finish import finish
from deb_mock.cli.option_groups import with_groups
from deb_mock.cli.options import EPILOG, AsJson, read_repository, required_codename
from deb_mock.cli.progress import Progress
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.privileges import require_root
from deb_mock.reproducibility.buildinfo import read_buildinfo
from deb_mock.reproducibility.rebuild import RebuildRequest, RebuildResult, Rebuilds, snapshot_repository

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class EnvironmentOptions:
    """Where the versions come from that the build had."""

    suite: Suite = ""
    extra_repository: ExtraRepositories = None
    snapshot: Annotated[
        str, typer.Option(envvar="DEB_MOCK_SNAPSHOT", help="Archive with old versions; {timestamp} is Build-Date.")
    ] = ""
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Where a version cannot be had, take the one that can.")
    ] = False

    def applied(self, request: RebuildRequest, config: EngineConfig) -> RebuildRequest:
        codename, components = self.suite or required_codename(), current().settings.components
        repositories = [read_repository(path) for path in self.extra_repository or ()]
        if self.snapshot:
            repositories.append(snapshot_repository(self.snapshot, request.info, codename, components, config.keyring))
        return replace(
            request,
            suite=codename,
            components=components,
            repositories=tuple(repositories),
            or_nearest=self.nearest,
        )


@app.command(epilog=EPILOG)
@with_groups
def rebuild(
    *,
    buildinfo: Annotated[Path, typer.Option("--from", help="The .buildinfo of the build to repeat.")],
    environment: EnvironmentOptions,
    engine: EngineOptions,
    source: Annotated[Path | None, typer.Option(help="The .dsc; else beside the .buildinfo, or of the suite.")] = None,
    result_dir: Annotated[
        Path | None, typer.Option(help="New or empty; default: NAME_rebuild, new files replace old.")
    ] = None,
    merge: Merge = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Repeat the build of a .buildinfo with the same versions, and compare the hashes."""
    config = engine.config()
    results = (result_dir or Path(f"{buildinfo.stem}_rebuild")).absolute()

    async def work() -> RebuildResult:
        require_root()
        request = environment.applied(
            RebuildRequest(
                rebuild_id=f"rebuild-{os.getpid()}",
                info=read_buildinfo(buildinfo),
                near=buildinfo.absolute().parent,
                dsc=source.absolute() if source else None,
                suite="",
                result_dir=results,
                failed_dir=results.with_name(f"{results.name}_failed"),
                merge_results=merge or result_dir is None,
                timeout_s=timeout,
            ),
            config,
        )
        result = await _rebuild(config, request, verbose=verbose)
        if not as_json:
            _show(result)
        result.require_reproducible()
        return result

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201


async def _rebuild(config: EngineConfig, request: RebuildRequest, *, verbose: bool) -> RebuildResult:
    engine = Engine(config)
    request.result_dir.parent.mkdir(parents=True, exist_ok=True)
    with Progress(verbose=verbose) as progress:
        try:
            await engine.recover()
            return await Rebuilds(engine).run(request, on_log=progress.on_log, on_stage=progress.on_stage)
        finally:
            await engine.close()


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
