"""`deb-mock build`."""

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.chains.chain import Chain, ChainOptions, Outcome
from deb_mock.cli.chain_reports import ChainReports, show
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
    results_directory,
)
from deb_mock.cli.plugin_options import PluginOption, plugin_setting
from deb_mock.cli.version_change import Append, BinNmu, Changelog, Maintainer, Timestamp, changed_version
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig, SignaturePolicy
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR, default_jobs
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest, Surroundings
from deb_mock.sources.arguments import outside_of_trees, understand
from deborch_shared.sources import SourceDescription
from deborch_shared.versions import without_epoch

app = typer.Typer()


class Mode(StrEnum):
    """What to build."""

    BOTH = "any+all"
    ANY = "any"
    ALL = "all"
    SOURCE = "source"
    FULL = "full"


class ResolverChoice(StrEnum):
    """Who decides what is installed."""

    APT = "apt"
    ASPCUD = "aspcud"


@app.command(epilog=EPILOG)
def build(  # noqa: PLR0917 - typer reads the parameters as options
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="A .dsc, a directory with debian/, or NAME[=VERSION].")
    ],
    suite: Annotated[str, typer.Option(help="Debian suite; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture that builds; the host's own if not given.")] = "",
    host: Annotated[str, typer.Option(help="Cross build: the architecture that the packages are for.")] = "",
    result_dir: Annotated[
        Path | None, typer.Option(help="New or empty; default: NAME_VERSION_result, where new files replace old ones.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Add the results to a directory that has files.")] = False,
    build_path: Annotated[str, typer.Option(help="Of the source; DIR/ adds NAME-VERSION.")] = "",
    mode: Annotated[
        Mode | None, typer.Option(help="dpkg-buildpackage -b, -B, -A, -S, -F; any+all, and any for --binnmu.")
    ] = None,
    sort: Annotated[bool, typer.Option("--sort", help="Several sources: in the order of their needs.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a failure with what can be.")] = False,
    clean_source: Annotated[
        bool, typer.Option("--clean-source/--no-clean-source", help="debian/rules clean on the copy of a directory.")
    ] = True,
    extra_repository: Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")] = None,
    add_depends: Annotated[list[str] | None, typer.Option(help="One more build dependency.")] = None,
    add_conflicts: Annotated[list[str] | None, typer.Option(help="One more build conflict.")] = None,
    resolve_alternatives: Annotated[
        bool, typer.Option("--resolve-alternatives/--first-alternative", help="Of a | b: either, or only a.")
    ] = True,
    resolver: Annotated[ResolverChoice, typer.Option(help="Who decides what is installed.")] = ResolverChoice.APT,
    profile: Annotated[list[str] | None, typer.Option(help="Build profile.")] = None,
    build_option: Annotated[list[str] | None, typer.Option(help="Word for DEB_BUILD_OPTIONS, such as nocheck.")] = None,
    debbuildopt: Annotated[list[str] | None, typer.Option(help="One more option of dpkg-buildpackage.")] = None,
    binnmu: BinNmu = None,
    changelog: Changelog = "",
    append_to_version: Append = "",
    maintainer: Maintainer = "",
    binnmu_timestamp: Timestamp = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Parallel jobs; by processors and memory.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a build may take.")] = 6 * 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    source_keyring: Annotated[Path | None, typer.Option(help="Ask for a good signature by a key in it.")] = None,
    dsc_signature: Annotated[SignaturePolicy, typer.Option(help="If it has none.")] = SignaturePolicy.REQUIRE,
    orig_signature: Annotated[
        SignaturePolicy, typer.Option(help="Original tarballs, by debian/upstream/signing-key.asc.")
    ] = SignaturePolicy.OFF,
    network: Annotated[
        bool, typer.Option("--network", help="Let the build use the network, if the configuration allows that.")
    ] = False,
    tmpfs_mib: Annotated[int | None, typer.Option(min=0, help="Memory for the build's files; 0: on disk.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    plugin: PluginOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build source packages: one, or several of which later ones see what earlier ones made."""
    config = engine_config(state_dir, cache_dir, mirror)
    config = replace(
        config,
        source_keyring=source_keyring.absolute() if source_keyring else None,
        dsc_signature=dsc_signature,
        orig_signature=orig_signature,
        tmpfs_bytes=config.tmpfs_bytes if tmpfs_mib is None else (tmpfs_mib << 20) or None,
        plugins=(*config.plugins, *(plugin_setting(text) for text in plugin or ())),
    )

    async def work() -> tuple[Outcome, ...]:
        template = BuildRequest(
            build_id=f"cli-{os.getpid()}",
            dsc=Path(),
            source_dir=Path(),
            suite=suite or required_codename(),
            architecture=arch or await native_architecture(),
            host_architecture=host or None,
            result_dir=Path(),
            merge_results=merge or result_dir is None,
            mode=(mode or (Mode.ANY if binnmu else Mode.BOTH)).value,
            changed_version=changed_version(binnmu, changelog, append_to_version, maintainer, binnmu_timestamp),
            extra_sources=tuple(read_repository(path) for path in extra_repository or ()),
            add_depends=tuple(add_depends or ()),
            add_conflicts=tuple(add_conflicts or ()),
            first_alternative=not resolve_alternatives,
            resolver=resolver.value,
            parallel=jobs or default_jobs(),
            timeout_s=timeout,
            profiles=tuple(profile or ()),
            build_options=tuple(build_option or ()),
            dpkg_options=tuple(debbuildopt or ()),
            network=network,
            surroundings=Surroundings(build_path=build_path),
        )
        options = ChainOptions(sort, keep_going, clean_source)
        return await _build(config, configured_request(template), sources, options, result_dir, verbose=verbose)

    show(finish(work(), as_json=as_json), as_json=as_json)


async def _build(
    config: EngineConfig,
    template: BuildRequest,
    sources: list[str],
    options: ChainOptions,
    result_dir: Path | None,
    *,
    verbose: bool,
) -> tuple[Outcome, ...]:
    require_root()
    arguments = [(text, understand(text)) for text in sources]
    directory = outside_of_trees([argument for _, argument in arguments], results_directory())

    def result_dir_of(source: SourceDescription) -> Path:
        name = f"{source.name}_{without_epoch(source.version)}"
        if result_dir is not None:
            return (result_dir / name if len(sources) > 1 else result_dir).absolute()
        return directory / f"{name}_result"

    engine = Engine(config)
    try:
        await engine.recover()
        reports = ChainReports(directory, verbose=verbose, count=len(sources))
        outcomes = await Chain(engine, template, options, result_dir_of, reports.watch).run(arguments)
    finally:
        await engine.close()
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes
