"""The end of every command: signals cancel it, errors are shown without a traceback and become the exit code."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import typer
from rich.console import Console

from deb_bootc_compose.failures import EXIT_CODES, EXIT_UNKNOWN, FailureClass, exit_code
from deborch_shared.errors import DeborchError, ErrorCode

T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T], *, as_json: bool) -> T:
    """Run `work` within `finished`. SIGTERM ends it as Ctrl-C does: it cancels."""
    try:
        with finished(as_json=as_json):
            return asyncio.run(_until_signalled(work))
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise typer.Exit(EXIT_CODES[FailureClass.CANCELED]) from None


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


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
        write_json({"code": error.code, "message": error.message, "hint": error.hint, **error.fields})
    else:
        show_error(error, Console(stderr=True))


def show_error(error: DeborchError, console: Console) -> None:
    """`error` as people get it."""
    console.print(
        f"deb-bootc-compose: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True
    )
    if error.hint:
        console.print(f"  what to do: {error.hint}", markup=False, highlight=False, soft_wrap=True)


def write_json(value: object) -> None:
    """One JSON value as one line on stdout, at once."""
    json.dump(value, sys.stdout, default=_plain)
    sys.stdout.write("\n")
    sys.stdout.flush()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
