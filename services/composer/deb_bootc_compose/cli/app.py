"""All commands as one application."""

import typer

from deb_bootc_compose.cli import boot, compose, composes, diff, lint, refs, schema, show, validate
from deb_bootc_compose.cli.options import EPILOG

app = typer.Typer(
    help="Compose bootable OSTree and container images of Debian from treefiles.", no_args_is_help=True, epilog=EPILOG
)
for commands in (validate.app, show.app, schema.app, compose.app, composes.app, diff.app, lint.app, refs.app, boot.app):
    app.add_typer(commands)
