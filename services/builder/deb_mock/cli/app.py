"""All commands as one application."""

from typing import Annotated

import typer

import deborch_shared
from deb_mock.cli import build, buildroots, caches, check, config, copies, doctor, explain, plugins, rebuild
from deb_mock.cli.configured import configured
from deb_mock.cli.options import EPILOG

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deb-mock {deborch_shared.__version__}")
        raise typer.Exit


@app.callback()
def deb_mock(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Build Debian source packages in clean, isolated, cached buildroots."""


for commands in (build.app, explain.app, check.app, rebuild.app, buildroots.app, copies.app, caches.app, doctor.app):
    app.add_typer(configured(commands))
app.add_typer(config.app, name="config")
app.add_typer(plugins.app, name="plugin")
