"""The end of every command: errors are shown without a traceback and become the exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from deb_bootc_compose.failures import EXIT_UNKNOWN, exit_code
from deborch_shared.errors import DeborchError, ErrorCode


@contextmanager
def finished(*, as_json: bool) -> Iterator[None]:
    """Run what is within; an error is shown and ends the command."""
    try:
        yield
    except DeborchError as error:
        report_error(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except OSError as error:
        report_error(_system_error(error), as_json=as_json)
        raise typer.Exit(EXIT_UNKNOWN) from None


def _system_error(error: OSError) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"{error.filename or 'deb-bootc-compose'}: {error.strerror or error}",
        hint="check that the file or directory exists and may be used",
    )


def report_error(error: DeborchError, *, as_json: bool) -> None:
    """`error` for a program or for people."""
    if as_json:
        json.dump({"code": error.code, "message": error.message, "hint": error.hint, **error.fields}, sys.stdout)
        print()  # noqa: T201
        return
    console = Console(stderr=True)
    console.print(
        f"deb-bootc-compose: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True
    )
    if error.hint:
        console.print(f"  what to do: {error.hint}", markup=False, highlight=False, soft_wrap=True)
