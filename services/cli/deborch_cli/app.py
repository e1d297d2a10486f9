"""Which commands there are and where each one lives: nothing is imported before it is called."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import typer
from typer.main import get_command

import deborch_shared
from deborch_cli.groups import LazyCommand, LazyGroup

_BUILDING = "Building"
_FLEET = "Fleet"
_ACCESS = "Access"
_MACHINE = "This machine"

_HERE = "deborch_cli.commands"
_LOCAL = "deborch_cli.local"

COMMANDS: Mapping[str, LazyCommand] = MappingProxyType(
    {
        "build": LazyCommand(f"{_HERE}.build:app", "Build a source package; list and handle builds", _BUILDING),
        "task": LazyCommand(f"{_HERE}.task:app", "The single pieces of work that builds consist of", _BUILDING),
        "target": LazyCommand(f"{_HERE}.target:app", "What to build against and to publish in", _BUILDING),
        "archive": LazyCommand(f"{_HERE}.archive:app", "The APT archives with the results", _BUILDING),
        "compose": LazyCommand(f"{_HERE}.compose:app", "Make bootable images of a treefile", _BUILDING),
        "host": LazyCommand(f"{_HERE}.host:app", "The builders", _FLEET),
        "events": LazyCommand(f"{_HERE}.events:events", "What happens, as it happens", _FLEET),
        "login": LazyCommand(f"{_HERE}.identity:login", "Keep an API key for the commands to come", _ACCESS),
        "logout": LazyCommand(f"{_HERE}.identity:logout", "Forget the API key", _ACCESS),
        "whoami": LazyCommand(f"{_HERE}.identity:whoami", "Who you are and what you may do", _ACCESS),
        "up": LazyCommand(f"{_LOCAL}.up:up", "Run the whole stack on this machine", _MACHINE),
        "demo": LazyCommand(f"{_LOCAL}.demo:demo", "Build, publish and install Debian's hello", _MACHINE),
        "key": LazyCommand(f"{_HERE}.key:app", "API keys of people and programs", _ACCESS),
    }
)  # fmt: skip


class _Root(LazyGroup):
    COMMANDS: ClassVar[Mapping[str, LazyCommand]] = COMMANDS


app = typer.Typer(
    cls=_Root,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deborch {deborch_shared.__version__}")
        raise typer.Exit


@app.callback()
def deborch(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Build Debian source packages on a fleet of builders and publish them in signed APT archives."""


def root_command() -> Any:  # noqa: ANN401 - typer's vendored click has no public base class
    """The whole command line, ready to be called with arguments."""
    return get_command(app)
