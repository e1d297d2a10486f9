"""`deb-mock build`."""

import json
import os
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deb_mock.cli.finish import finish
from deb_mock.cli.options import (
    EPILOG,
    AsJson,
    CacheDir,
    StateDir,
    engine_config,
    native_architecture,
    read_repository,
    required_codename,
)
from deb_mock.cli.plugin_options import PluginOption, plugin_setting, show_checks
from deb_mock.cli.progress import Progress, stage_table
from deb_mock.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR, default_tmpfs_bytes
from deb_mock.engine import Engine
from deb_mock.model import BuildRequest, BuildResult, EngineConfig, Surroundings
from deb_mock.privileges import require_root
from deb_mock.report import stages_as_dicts

app = typer.Typer()


class Mode(StrEnum):
    """What to build."""

    BOTH = "any+all"
    ANY = "any"
    ALL = "all"


@app.command(epilog=EPILOG)
def build(  # noqa: PLR0917 - typer reads the parameters as options
    dsc: Annotated[Path, typer.Argument(help="The .dsc; the files that it lists lie beside it.")],
    suite: Annotated[str, typer.Option(help="Debian suite to build for; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; the host's own if not given.")] = "",
    result_dir: Annotated[Path | None, typer.Option(help="New directory for the results.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Add the results to a directory that has files.")] = False,
    build_path: Annotated[str, typer.Option(help="Of the source; DIR/ adds NAME-VERSION.")] = "",
    extra_repository: Annotated[
        list[Path] | None, typer.Option(help="A deb822 .sources file with its key in it; may be given more than once.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Architecture-dependent packages, independent ones, or both.")] = Mode.BOTH,
    profile: Annotated[list[str] | None, typer.Option(help="Build profile, such as nodoc.")] = None,
    build_option: Annotated[list[str] | None, typer.Option(help="Word for DEB_BUILD_OPTIONS, such as nocheck.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Parallel jobs.")] = os.cpu_count() or 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a build may take.")] = 6 * 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    source_keyring: Annotated[Path | None, typer.Option(help="Ask for a good signature by a key in it.")] = None,
    tmpfs_mib: Annotated[int | None, typer.Option(min=0, help="Memory for the build's files; 0: on disk.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    plugin: PluginOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build one source package."""
    config = replace(
        engine_config(state_dir, cache_dir, mirror),
        source_keyring=source_keyring.absolute() if source_keyring else None,
        tmpfs_bytes=default_tmpfs_bytes() if tmpfs_mib is None else (tmpfs_mib << 20) or None,
        plugins=tuple(plugin_setting(text) for text in plugin or ()),
    )

    results = (result_dir or Path(f"{dsc.stem}_result")).absolute()

    async def work() -> BuildResult:
        request = BuildRequest(
            build_id=f"cli-{os.getpid()}",
            dsc=dsc.absolute(),
            source_dir=dsc.absolute().parent,
            suite=suite or required_codename(),
            architecture=arch or await native_architecture(),
            result_dir=results,
            merge_results=merge,
            failed_dir=results.with_name(f"{results.name}_failed"),
            mode=mode.value,
            extra_sources=tuple(read_repository(path) for path in extra_repository or ()),
            parallel=jobs,
            timeout_s=timeout,
            profiles=tuple(profile or ()),
            build_options=tuple(build_option or ()),
            surroundings=Surroundings(build_path=build_path),
        )
        return await _build(config, request, verbose=verbose)

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201
        return
    Console(stderr=True).print(stage_table(stages_as_dicts(result.stages)))
    console = Console()
    for artifact in result.artifacts:
        console.print(str(artifact.path), highlight=False, soft_wrap=True)
    show_checks(result.checks)


async def _build(config: EngineConfig, request: BuildRequest, *, verbose: bool) -> BuildResult:
    require_root()
    engine = Engine(config)
    request.result_dir.parent.mkdir(parents=True, exist_ok=True)
    with Progress(verbose=verbose) as progress:
        try:
            await engine.recover()
            return await engine.build(request, on_log=progress.on_log, on_stage=progress.on_stage)
        finally:
            await engine.close()
