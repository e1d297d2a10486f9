"""Options in groups, as typer reads them."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from deb_mock.cli.option_groups import with_groups


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option(help="Of all walls.")] = "white"
    coats: Annotated[int, typer.Option("--coats", "-n", min=1)] = 2


def paint(*arguments: str):
    app = typer.Typer(add_completion=False)

    @app.command()
    @with_groups
    def work(room: str, *, paint: Paint, dry: bool = False) -> None:
        """Paint a room."""
        typer.echo(f"{room} {paint} {dry}")

    return CliRunner().invoke(app, list(arguments))


def test_a_group_gets_what_its_options_say_and_its_own_defaults():
    assert paint("hall").output == "hall Paint(colour='white', coats=2) False\n"
    assert paint("hall", "-n", "3", "--dry", "--colour", "red").output == "hall Paint(colour='red', coats=3) True\n"


@pytest.mark.parametrize("text", ["Paint a room.", "Of all walls.", "--coats"])
def test_the_help_has_each_option_of_a_group(text):
    assert text in paint("--help").output


def test_a_bad_value_in_a_group_is_told_by_its_option():
    result = paint("hall", "--coats", "0")
    assert result.exit_code == 2
    assert "coats" in result.output
