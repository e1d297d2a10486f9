"""How a failure is told: what happened and what to do next on stderr, as text or as a JSON problem."""

import os
import sys
import traceback

import orjson
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from deborch_cli.exit_codes import EXIT_CODES, ExitCode
from deborch_shared.errors import DeborchError, ErrorCode, bounded


def report(error: DeborchError, *, as_json: bool) -> ExitCode:
    """Print `error` on stderr; the exit code that goes with it."""
    if as_json:
        problem = {
            **error.fields,
            "type": f"urn:deborch:error:{error.code.value}",
            "title": error.spec.title,
            "detail": error.message,
            "code": error.code.value,
            "hint": error.hint,
        }
        sys.stderr.write(orjson.dumps(problem, default=str).decode() + "\n")
    else:
        console = Console(stderr=True, highlight=False)
        console.print(Text.assemble(("error: ", "bold red"), (error.message, "red")), soft_wrap=True)
        if error.hint:
            console.print(Text.assemble(("hint: ", "bold cyan"), error.hint), soft_wrap=True)
    return EXIT_CODES[error.code]


def from_usage(error: TyperException) -> DeborchError:
    """What typer has to say about the arguments, in the form of all errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "deborch"
    return DeborchError(ErrorCode.INVALID_INPUT, error.format_message(), hint=f"see `{command} --help`")


def from_bug(error: BaseException) -> DeborchError:
    """An error that nobody foresaw: one line, and the traceback only for those who ask."""
    if os.environ.get("DEBORCH_DEBUG"):
        traceback.print_exception(error)
    message = f"this is a bug: {type(error).__name__}: {bounded(str(error), 300)}"
    return DeborchError(ErrorCode.INTERNAL, message, hint="DEBORCH_DEBUG=1 shows the traceback to report")


def from_system(error: OSError) -> DeborchError:
    """What the operating system refused, with the file that it was about."""
    about = f"{error.filename}: " if error.filename else ""
    return DeborchError(ErrorCode.INVALID_INPUT, f"{about}{error.strerror or error}")
