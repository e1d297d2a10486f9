"""Groups of commands: one that imports what is called, and one with a command of its own for plain arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from deborch_shared.errors import DeborchError, ErrorCode


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is: `module:name` of a typer app, or of a function that is one command."""

    target: str
    summary: str
    panel: str

    def load(self, name: str) -> Any:  # noqa: ANN401 - typer's vendored click has no public base class
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command()(found)
            found = app
        command = get_command(found)
        command.name = name
        return command


class HelpfulGroup(TyperGroup):
    """A group that, called with nothing, says what it can do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        return super().parse_args(ctx, args or ["--help"])


class LazyGroup(HelpfulGroup):
    """Imports a command when it is called; for help and completion its line in `COMMANDS` is enough."""

    COMMANDS: ClassVar[Mapping[str, LazyCommand]] = {}

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - passed on to typer as they are
        super().__init__(**attributes)
        for name, command in self.COMMANDS.items():
            self.add_command(TyperCommand(name, help=command.summary, rich_help_panel=command.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        if args and args[0] in self.COMMANDS:
            self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> Any:  # noqa: ANN401
        """The command `name` itself, in place of its line of help."""
        command = self.COMMANDS[name].load(name)
        command.help = command.help or self.COMMANDS[name].summary
        self.add_command(command)
        return command


class DefaultCommandGroup(HelpfulGroup):
    """A group in which what is no sub-command belongs to `DEFAULT`: `build hello` is `build submit hello`."""

    DEFAULT: ClassVar[str] = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            self._refuse_misspelt(args)
            args = [self.DEFAULT, *args]
        return super().parse_args(ctx, args)

    def _refuse_misspelt(self, args: list[str]) -> None:
        """`build lst 3`: two plain arguments are never one for DEFAULT, so the first was meant as a command."""
        meant = get_close_matches(args[0], self.commands)
        if meant and len(args) > 1 and not any(word.startswith("-") for word in args[:2]):
            raise DeborchError(
                ErrorCode.INVALID_INPUT, f"there is no command {args[0]!r}", hint=f"did you mean `{meant[0]}`?"
            )
