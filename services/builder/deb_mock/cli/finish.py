"""The end of every command: signals cancel it, errors are shown without a traceback and become the exit code."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

import typer
from rich.console import Console

from deb_mock.cli.plugin_options import show_checks
from deb_mock.cli.progress import first_lines_text, stage_table
from deb_mock.failures import EXIT_UNKNOWN, exit_code
from deborch_shared.errors import DeborchError, ErrorCode

T = TypeVar("T")
_INTERRUPTED = 130


def finish(work: Coroutine[Any, Any, T], *, as_json: bool) -> T:
    """Run `work`; an error is shown without a traceback and becomes the exit code."""
    try:
        return asyncio.run(_until_signalled(work))
    except DeborchError as error:
        report_error(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except OSError as error:
        report_error(_system_error(error), as_json=as_json)
        raise typer.Exit(EXIT_UNKNOWN) from None
    except _InterruptedError as error:
        _report_interrupt(error.args, as_json=as_json)
        raise typer.Exit(_INTERRUPTED) from None
    except KeyboardInterrupt:
        _report_interrupt((), as_json=as_json)
        raise typer.Exit(_INTERRUPTED) from None


class _InterruptedError(Exception):
    """A signal ended the work; the arguments say where it has left something."""


def _report_interrupt(notes: Sequence[str], *, as_json: bool) -> None:
    message = "; ".join(["interrupted; the buildroot is removed", *notes])
    if as_json:
        hint = "run the command again; caches that it had filled stay"
        report_error(DeborchError(ErrorCode.CANCELED, message, hint=hint), as_json=True)
        return
    Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


def _system_error(error: OSError) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"{error.filename or 'deb-mock'}: {error.strerror or error}",
        hint="check that the file or directory exists and may be used",
    )


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends a build as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError as error:
        # Out of the loop a fresh one would come, without the notes.
        raise _InterruptedError(*getattr(error, "__notes__", ())) from None


def plain(value: object) -> object:
    """For what JSON does not know."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def report_error(error: DeborchError, *, as_json: bool) -> None:
    """`error` for a program or for people."""
    if as_json:
        json.dump(described(error), sys.stdout, default=plain)
        print()  # noqa: T201
        return
    show_error(error)


def described(error: DeborchError) -> dict[str, Any]:
    """`error` as programs get it."""
    return {"code": error.code, "message": error.message, "hint": error.hint, **error.fields}


def show_error(error: DeborchError) -> None:
    """`error` as people get it."""
    console = Console(stderr=True)
    if error.fields.get("stages"):
        console.print(stage_table(error.fields["stages"], failed=str(error.fields.get("stage", ""))))
    console.print(f"deb-mock: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if error.fields.get("first_lines"):
        console.print(first_lines_text(error.fields["first_lines"]), end="", soft_wrap=True)
    console.print(f"  what to do: {error.hint}", markup=False, highlight=False, soft_wrap=True)
    show_checks(error.fields.get("checks", ()))
    for name in ("log", "report", "page"):
        if name in error.fields:
            console.print(f"  {name}: {error.fields[name]}", markup=False, highlight=False, soft_wrap=True)
