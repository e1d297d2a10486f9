"""The tree of commands: all there, all described, nothing imported too early."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from deborch_cli.__main__ import run
from deborch_cli.app import COMMANDS, root_command
from deborch_cli.exit_codes import ExitCode

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def every_command() -> Iterator[tuple[str, Any]]:
    root = root_command()
    for name in COMMANDS:
        command = root.load(name)
        yield from _leaves(f"deborch {name}", command)


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
    for name, child in (subcommands or {}).items():
        yield from _leaves(f"{path} {name}", child)


def test_the_reference_lists_every_command_and_no_other():
    listed = re.findall(r"^### `(deborch [a-z ]+?)(?: [^a-z].*)?`$", REFERENCE.read_text(), re.MULTILINE)
    assert listed == [path for path, _ in every_command()]


def test_the_reference_names_every_option_of_every_command():
    sections = re.split(r"^### `", REFERENCE.read_text(), flags=re.MULTILINE)
    for path, command in every_command():
        section = next(text for text in sections if re.match(rf"{re.escape(path)}(?: [^a-z]|`)", text))
        for parameter in command.params:
            if parameter.param_type_name == "option" and not {"--help", "--json"} & set(parameter.opts):
                assert f"`{parameter.opts[0]}" in section, f"{path} {parameter.opts[0]}"


def test_the_reference_lists_every_exit_code():
    for code in ExitCode:
        assert f"| {code.value} | {code.meaning} |" in REFERENCE.read_text()


def test_every_command_and_every_option_says_what_it_is_for():
    for path, command in every_command():
        assert command.help, path
        for parameter in command.params:
            assert getattr(parameter, "help", ""), f"{path} {parameter.name}"


def test_every_command_that_shows_something_can_do_so_in_json():
    for path, command in every_command():
        if COMMANDS[path.split()[1]].target.startswith("deborch_cli.commands."):
            assert "--json" in {option for parameter in command.params for option in parameter.opts}, path


def test_a_package_name_is_submitted_and_a_sub_command_is_run(capsys: pytest.CaptureFixture[str]):
    assert run(["build", "--help"]) == 0
    assert "giveback" in capsys.readouterr().out
    assert run(["build", "hello", "--help"]) == 0
    assert "--scratch" in capsys.readouterr().out
    assert run(["build", "--watch", "hello", "--help"]) == 0
    assert "--scratch" in capsys.readouterr().out


def test_a_misspelt_sub_command_is_not_taken_for_a_package(capsys: pytest.CaptureFixture[str]):
    assert run(["build", "cancle", "3"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "error: there is no command 'cancle'\nhint: did you mean `cancel`?\n"


@pytest.mark.parametrize("arguments", [[], ["build"], ["host"], ["key"]])
def test_a_group_called_with_nothing_says_what_it_can_do(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 0
    assert "Commands" in capsys.readouterr().out or arguments == []


def test_wrong_usage_is_an_error_like_any_other(capsys: pytest.CaptureFixture[str]):
    assert run(["build", "show", "seven"]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert err.startswith("error: Invalid value for 'BUILD'") and "hint: see `deborch build show --help`" in err


def test_a_bug_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def broken() -> typer.Typer:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("deborch_cli.__main__.root_command", broken)
    assert run(["whoami"]) == ExitCode.FAILED
    assert capsys.readouterr().err.startswith("error: this is a bug: ZeroDivisionError: division by zero\n")


def test_help_imports_nothing_heavy():
    """What makes `deborch --help` quick, tested without a clock."""
    heavy = ("aiohttp", "pydantic", "deborch_shared.http", "deborch_shared.contract", "debian")
    script = (
        "import sys; from deborch_cli.__main__ import run; run(['--help']);"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "giveback" not in result.stdout and "whoami" in result.stdout
    assert result.stderr.strip() == "[]"
