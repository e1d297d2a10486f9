"""Every command takes its values from the configuration: `--config` and `-o`, and defaults for its own options."""

import asyncio
import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from deb_mock.cli.finish import report_error
from deb_mock.configuration.engine_settings import option_defaults
from deb_mock.configuration.resolve import Asked, Configuration, Places, resolve
from deb_mock.failures import exit_code
from deb_mock.host.rootless import is_user_without_root
from deborch_shared import process
from deborch_shared.errors import DeborchError

if TYPE_CHECKING:
    from typer import Context
    from typer._click.core import Parameter

_CURRENT: ContextVar[Configuration] = ContextVar("configuration")
_GIVEN = {"suite": "suite", "arch": "architecture", "mirror": "mirror", "backend": "backend"}
"""Options that choose templates or the archive, and the key of each."""


def current() -> Configuration:
    """The configuration of the command that runs; outside of one, that of the files."""
    found = _CURRENT.get(None)
    if found is None:
        found = resolve_for(Asked())
        _CURRENT.set(found)
    return found


def resolve_for(asked: Asked) -> Configuration:
    """What `asked` comes to for this user on this host.

    Raises:
        DeborchError: INVALID_SETTING
    """
    places = Places.of_user(os.environ, without_root=is_user_without_root())
    return resolve(asked, os.environ, places, native=asyncio.run(_native()))


async def _native() -> str:
    """The host's architecture; empty where there is no dpkg, for whoever needs it to say so."""
    try:
        return (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
    except DeborchError:
        return ""


def _options(
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Configuration above that of the user (DEB_MOCK_CONFIG)."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="One setting, above all files.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who isolates commands: namespaces, bwrap or nspawn.")
    ] = None,
) -> None:
    """What each configured command has; read before its own options, so no command sees them."""


def _common_options() -> "list[Parameter]":
    application = typer.Typer(add_completion=False)
    application.command()(_options)
    parameters = typer.main.get_command(application).params
    for parameter in parameters:
        parameter.expose_value = False
    return parameters


class ConfiguredCommand(TyperCommand):
    """A command whose options default to what is configured."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - whatever typer gives
        super().__init__(*arguments, **named)
        self.params += _common_options()

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:  # type: ignore[override]
        written, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        if not ctx.resilient_parsing and not written.get("help"):
            ctx.default_map = option_defaults(self._configuration(written))
        return super().parse_args(ctx, args)

    @staticmethod
    def _configuration(written: Mapping[str, Any]) -> Configuration:
        given = {key: str(written[name]) for name, key in _GIVEN.items() if written.get(name)}
        file = written.get("config_file")
        try:
            found = resolve_for(Asked(Path(file) if file else None, written.get("settings") or (), given))
        except DeborchError as error:
            report_error(error, as_json=bool(written.get("as_json")))
            raise typer.Exit(exit_code(error)) from None
        _CURRENT.set(found)
        return found


def configured(application: typer.Typer) -> typer.Typer:
    """`application` with all of its own commands configured."""
    for command in application.registered_commands:
        command.cls = ConfiguredCommand
    return application
