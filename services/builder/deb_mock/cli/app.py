"""All commands as one application."""

import typer

from deb_mock.cli import build, buildroots, caches, check, config, copies, doctor, explain, plugins, rebuild
from deb_mock.cli.configured import configured
from deb_mock.cli.options import EPILOG

app = typer.Typer(
    help="Build Debian source packages in clean, isolated, cached buildroots.", no_args_is_help=True, epilog=EPILOG
)
for commands in (build.app, explain.app, check.app, rebuild.app, buildroots.app, copies.app, caches.app, doctor.app):
    app.add_typer(configured(commands))
app.add_typer(config.app, name="config")
app.add_typer(plugins.app, name="plugin")
