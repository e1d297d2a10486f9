"""`deb-mock config`: what is set and by whom, whether a file is right, and its schema for editors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from deb_mock.cli.configured import ConfiguredCommand, current
from deb_mock.cli.finish import report_error
from deb_mock.cli.options import AsJson
from deb_mock.configuration.resolve import Configuration, Places, check_file
from deb_mock.configuration.schema import json_schema
from deb_mock.failures import exit_code
from deborch_shared.documents.positions import dotted
from deborch_shared.errors import DeborchError

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


@app.command(cls=ConfiguredCommand)
def show(
    suite: Annotated[str, typer.Option(help="As for this suite; the configured one, or the host's own.")] = "",  # noqa: ARG001
    arch: Annotated[str, typer.Option(help="As for this architecture.")] = "",  # noqa: ARG001 - read with the layers
    mirror: Annotated[str | None, typer.Option(help="As with this mirror.")] = None,  # noqa: ARG001
    as_json: AsJson = False,
) -> None:
    """Every value that counts, and where it comes from."""
    found = current()
    if as_json:
        shown = {dotted(path): {"value": value, "origin": origin} for path, value, origin in _values(found)}
        print(json.dumps(shown, indent=2))  # noqa: T201
        return
    table = Table("key", Column("value", overflow="fold"), Column("from", overflow="fold"), box=None)
    for path, value, origin in _values(found):
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(dotted(path), text, origin, style="dim" if origin == "built-in" else None)
    Console(highlight=False, markup=False).print(table)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A YAML or TOML file.")],
    as_json: AsJson = False,
) -> None:
    """Say whether a file is a right configuration, with file, line and key if not."""
    try:
        check_file(file, Places())
    except DeborchError as error:
        report_error(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    print(json.dumps({"file": str(file), "right": True}) if as_json else f"{file}: right")  # noqa: T201


@app.command()
def schema() -> None:
    """The JSON Schema of a configuration file, for editors."""
    print(json.dumps(json_schema(), indent=2))  # noqa: T201


def _values(found: Configuration) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
    return _leaves(found, found.settings.model_dump(mode="json"), ())


def _leaves(
    found: Configuration,
    value: Any,  # noqa: ANN401 - whatever JSON can say
    path: tuple[str | int, ...],
) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
    if isinstance(value, dict) and (value or not path):
        for key, inner in value.items():
            yield from _leaves(found, inner, (*path, key))
    else:
        yield path, value, found.origin(*path)
