"""`deb-mock explain`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from deb_mock.chains.ready_source import describe
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
from deb_mock.dependencies.explanation import Available, Explanation, Unmet
from deb_mock.engine import Engine
from deb_mock.failures import EXIT_CODES, FailureClass
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest
from deb_mock.sources.arguments import understand
from deborch_shared.apt.unmet import Why

app = typer.Typer()
_WORDS = {
    Why.MISSING: ("red", "is in no archive that was looked into"),
    Why.VERSION: ("red", "is there in another version only"),
    Why.UNINSTALLABLE: ("yellow", "cannot be installed"),
    Why.CONFLICT: ("magenta", "is at odds with another package that is needed"),
}


@app.command(epilog=EPILOG)
def explain(  # noqa: PLR0917 - typer reads the parameters as options
    source: Annotated[str, typer.Argument(help="A .dsc, a directory with debian/, or NAME[=VERSION] of the suite.")],
    suite: Annotated[str, typer.Option(help="Debian suite; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture that builds; the host's own if not given.")] = "",
    host: Annotated[str, typer.Option(help="Cross build: the architecture that the packages are for.")] = "",
    mode: Annotated[Mode, typer.Option(help="As for build.")] = Mode.BOTH,
    profile: Annotated[list[str] | None, typer.Option(help="Build profile.")] = None,
    add_depends: Annotated[list[str] | None, typer.Option(help="One more build dependency.")] = None,
    add_conflicts: Annotated[list[str] | None, typer.Option(help="One more build conflict.")] = None,
    extra_repository: Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")] = None,
    look_in: Annotated[
        list[str] | None, typer.Option(help="Another suite of the archive, such as sid: does it have what is missing?")
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Say why the build dependencies of a source package cannot be installed; exit code 4 if they cannot."""
    config = engine_config(state_dir, cache_dir, mirror)

    async def work() -> Explanation:
        require_root()
        argument = understand(source)
        request = BuildRequest(
            build_id=f"explain-{os.getpid()}",
            dsc=Path(),
            source_dir=Path(),
            suite=suite or required_codename(),
            architecture=arch or await native_architecture(),
            host_architecture=host or None,
            result_dir=Path(),
            mode=mode.value,
            profiles=tuple(profile or ()),
            add_depends=tuple(add_depends or ()),
            add_conflicts=tuple(add_conflicts or ()),
            extra_sources=tuple(read_repository(path) for path in extra_repository or ()),
        )
        request = configured_request(request)
        engine = Engine(config)
        try:
            await engine.recover()
            described = await describe(engine, argument, request)
            return await engine.explain(
                described, configured_request(request), look_in=tuple(look_in or ()), on_log=lambda _: None
            )
        finally:
            await engine.close()

    explanation = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(explanation)))  # noqa: T201
    else:
        show(explanation)
    if not explanation.installable:
        raise typer.Exit(EXIT_CODES[FailureClass.DEPENDENCY_WAIT])


def show(explanation: Explanation) -> None:
    """The answer for people. What could not be read stands below: a tree cuts long lines."""
    console = Console()
    console.print(_tree(explanation), highlight=False, soft_wrap=True)
    for missed in explanation.not_read:
        text = f"{missed.suite} could not be looked into: {missed.reason}"
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _tree(explanation: Explanation) -> Tree:
    what = (
        f"{escape(explanation.source)} {escape(explanation.version)} in {explanation.suite} {explanation.architecture}"
    )
    if explanation.installable:
        return Tree(f"[green]{what}: all build dependencies can be installed[/green]")
    tree = Tree(f"[bold]{what}: build dependencies cannot be installed[/bold]")
    for unmet in explanation.unmet:
        _grow(tree, unmet)
    return tree


def _grow(tree: Tree, unmet: Unmet) -> None:
    colour, words = _WORDS[unmet.why]
    branch = tree.add(f"[{colour}]{escape(unmet.relation)}[/{colour}] {words}")
    for available in unmet.available:
        branch.add(_version(available))
    for available in unmet.elsewhere:
        branch.add(f"[green]{_version(available)}[/green]")
    for quarrel in unmet.quarrels:
        branch.add(f"[magenta]{escape(quarrel)}[/magenta]")
    for cause in unmet.because:
        _grow(branch, cause)


def _version(available: Available) -> str:
    return f"there is {escape(available.version)} in {escape(available.origin)}"
