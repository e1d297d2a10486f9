"""`deb-mock build`."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.chains.chain import Chain, ChainOptions, Outcome
from deb_mock.cli.build_options import (
    DependencyOptions,
    EngineOptions,
    Merge,
    Mode,
    RunOptions,
    SignatureOptions,
    TargetOptions,
    TmpfsMib,
    Verbose,
    with_tmpfs,
)
from deb_mock.cli.chain_reports import ChainReports, show
from deb_mock.cli.failed_shell import FailedShell, ShellOptions
from deb_mock.cli.finish import finish
from deb_mock.cli.option_groups import with_groups
from deb_mock.cli.options import EPILOG, AsJson, results_directory
from deb_mock.cli.plugin_options import PluginOption, plugin_setting
from deb_mock.cli.version_change import VersionOptions
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest
from deb_mock.sources.arguments import outside_of_trees, understand
from deborch_shared.sources import SourceDescription
from deborch_shared.versions import without_epoch

app = typer.Typer()


class ResolverChoice(StrEnum):
    """Who decides what is installed."""

    APT = "apt"
    ASPCUD = "aspcud"


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """What is built, and how dpkg-buildpackage is called for it."""

    mode: Annotated[
        Mode | None, typer.Option(help="dpkg-buildpackage -b, -B, -A, -S, -F; any+all, and any for --binnmu.")
    ] = None
    debbuildopt: Annotated[list[str] | None, typer.Option(help="One more option of dpkg-buildpackage.")] = None
    resolve_alternatives: Annotated[
        bool, typer.Option("--resolve-alternatives/--first-alternative", help="Of a | b: either, or only a.")
    ] = True
    resolver: Annotated[ResolverChoice, typer.Option(help="Who decides what is installed.")] = ResolverChoice.APT
    network: Annotated[
        bool, typer.Option("--network", help="Let the build use the network, if the configuration allows that.")
    ] = False

    def applied(self, request: BuildRequest, version: VersionOptions) -> BuildRequest:
        return replace(
            request,
            mode=(self.mode or (Mode.ANY if version.binnmu else Mode.BOTH)).value,
            changed_version=version.changed_version(),
            dpkg_options=tuple(self.debbuildopt or ()),
            first_alternative=not self.resolve_alternatives,
            resolver=self.resolver.value,
            network=self.network,
        )


@dataclass(frozen=True, slots=True)
class OrderOptions:
    """How several sources are built."""

    sort: Annotated[bool, typer.Option("--sort", help="Several sources: in the order of their needs.")] = False
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a failure with what can be.")] = False
    clean_source: Annotated[
        bool, typer.Option("--clean-source/--no-clean-source", help="debian/rules clean on the copy of a directory.")
    ] = True

    def of_chain(self) -> ChainOptions:
        return ChainOptions(self.sort, self.keep_going, self.clean_source)


@app.command(epilog=EPILOG)
@with_groups
def build(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="A .dsc, a directory with debian/, or NAME[=VERSION].")
    ],
    *,
    target: TargetOptions,
    dependencies: DependencyOptions,
    package: PackageOptions,
    version: VersionOptions,
    order: OrderOptions,
    running: RunOptions,
    signatures: SignatureOptions,
    shell: ShellOptions,
    engine: EngineOptions,
    result_dir: Annotated[
        Path | None, typer.Option(help="New or empty; default: NAME_VERSION_result, where new files replace old ones.")
    ] = None,
    merge: Merge = False,
    tmpfs_mib: TmpfsMib = None,
    plugin: PluginOption = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Build source packages: one, or several of which later ones see what earlier ones made."""
    config = signatures.applied(with_tmpfs(engine.config(), tmpfs_mib))
    config = replace(config, plugins=(*config.plugins, *(plugin_setting(text) for text in plugin or ())))

    async def work() -> tuple[Outcome, ...]:
        template = running.applied(dependencies.applied(await target.request("cli")))
        template = package.applied(replace(template, merge_results=merge or result_dir is None), version)
        wanted = shell.wanted(config)
        return await _build(config, template, sources, order.of_chain(), result_dir, verbose=verbose, shell=wanted)

    show(finish(work(), as_json=as_json), as_json=as_json)


async def _build(
    config: EngineConfig,
    template: BuildRequest,
    sources: list[str],
    options: ChainOptions,
    result_dir: Path | None,
    *,
    verbose: bool,
    shell: FailedShell | None,
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
        on_failed = None if shell is None else partial(shell.open, reports.quiet)
        outcomes = await Chain(engine, template, options, result_dir_of, reports.watch, on_failed).run(arguments)
    finally:
        await engine.close()
    if shell is not None and any(one.state == "failed" for one in outcomes):
        shell.say_if_there_was_none()
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes
