"""`deb-mock explain`."""

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from deb_mock.chains.ready_source import describe
from deb_mock.cli.build_options import DependencyOptions, EngineOptions, Mode, Source, TargetOptions
from deb_mock.cli.finish import finish
from deb_mock.cli.option_groups import with_groups
from deb_mock.cli.options import EPILOG, AsJson
from deb_mock.cli.progress import Progress
from deb_mock.dependencies.explanation import Available, Explanation, Unmet
from deb_mock.engine import Engine
from deb_mock.failures import EXIT_CODES, FailureClass
from deb_mock.host.privileges import require_root
from deb_mock.model import BuildRequest
from deb_mock.sources.arguments import SourceArgument, understand
from deborch_shared.apt.unmet import Why

app = typer.Typer()
_WORDS = {
    Why.MISSING: ("red", "is in no archive that was looked into"),
    Why.VERSION: ("red", "is there in another version only"),
    Why.UNINSTALLABLE: ("yellow", "cannot be installed"),
    Why.CONFLICT: ("magenta", "is at odds with another package that is needed"),
}


@app.command(epilog=EPILOG)
@with_groups
def explain(
    source: Source,
    *,
    target: TargetOptions,
    dependencies: DependencyOptions,
    engine: EngineOptions,
    mode: Annotated[Mode, typer.Option(help="As for build.")] = Mode.BOTH,
    look_in: Annotated[
        list[str] | None, typer.Option(help="Another suite of the archive, such as sid: does it have what is missing?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why the build dependencies of a source package cannot be installed; exit code 4 if they cannot."""
    config = engine.config()

    async def work() -> Explanation:
        require_root()
        argument = understand(source)
        request = dependencies.applied(replace(await target.request("explain"), mode=mode.value))
        return await _explain(Engine(config), argument, request, tuple(look_in or ()))

    explanation = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(explanation)))  # noqa: T201
    else:
        show(explanation)
    if not explanation.installable:
        raise typer.Exit(EXIT_CODES[FailureClass.DEPENDENCY_WAIT])


async def _explain(
    engine: Engine, argument: SourceArgument, request: BuildRequest, look_in: tuple[str, ...]
) -> Explanation:
    try:
        await engine.recover()
        with Progress(verbose=False, doing="reading the archives") as progress:
            described = await describe(engine, argument, request, on_log=progress.on_log)
            return await engine.explain(described, request, look_in=look_in, on_log=progress.on_log)
    finally:
        await engine.close()


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
