"""How a failure is told: what happened and what to do next on stderr, as text or as a JSON problem."""

import errno
import os
import sys
import traceback

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from deborch_cli.exit_codes import EXIT_CODES, ExitCode
from deborch_cli.output.cells import printable
from deborch_shared.errors import DeborchError, ErrorCode, bounded


def tell(error: Exception, *, as_json: bool) -> ExitCode:
    """Print what went wrong on stderr; the exit code that goes with it."""
    return report(as_known_error(error), as_json=as_json)


def as_known_error(error: Exception) -> DeborchError:
    """Whatever a command raised, as an error with a message, a hint and an exit code."""
    match error:
        case DeborchError():
            return error
        case ExceptionGroup():
            return as_known_error(error.exceptions[0])
        case TyperException():
            return from_usage(error)
        case typer.Abort():
            return DeborchError(ErrorCode.INVALID_INPUT, "there was no answer", hint="answer, or give it as an option")
        case ValidationError():
            return from_answer(error)
        case OSError():
            return from_system(error)
    return from_bug(error)


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
        console.print(Text.assemble(("error: ", "bold red"), (_lines(error.message), "red")), soft_wrap=True)
        if error.hint:
            console.print(Text.assemble(("hint: ", "bold cyan"), _lines(error.hint)), soft_wrap=True)
    return EXIT_CODES[error.code]


def from_usage(error: TyperException) -> DeborchError:
    """What typer has to say about the arguments, in the form of all errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "deborch"
    return DeborchError(ErrorCode.INVALID_INPUT, error.format_message(), hint=f"see `{command} --help`")


def from_answer(error: ValidationError) -> DeborchError:
    """An answer of a service that is not of the form agreed on."""
    wrong = error.errors(include_input=False, include_url=False)[0]
    at = ".".join(str(part) for part in wrong["loc"])
    return DeborchError(
        ErrorCode.INTERNAL,
        f"the service's answer cannot be understood: {error.title} {at}: {wrong['msg']}",
        hint="deborch and the service seem to be of different versions: upgrade the older one",
    )


def from_bug(error: BaseException) -> DeborchError:
    """An error that nobody foresaw: one line, and the traceback only for those who ask."""
    if os.environ.get("DEBORCH_DEBUG"):
        traceback.print_exception(error)
    message = f"this is a bug: {type(error).__name__}: {bounded(str(error), 300)}"
    return DeborchError(ErrorCode.INTERNAL, message, hint="DEBORCH_DEBUG=1 shows the traceback to report")


_SYSTEM_HINT = "see that the path is right and that you may use it"
_SYSTEM_HINTS = {
    errno.ENOENT: "there is no such file or directory; give the path of one that is there",
    errno.EACCES: "choose a place that you may write to, or run it as the user who may",
    errno.EPERM: "choose a place that you may write to, or run it as the user who may",
    errno.EROFS: "that file system is read-only; choose a place on another one",
    errno.EISDIR: "that is a directory; give a file",
    errno.ENOTDIR: "a part of that path is no directory",
    errno.ECONNREFUSED: "nothing listens there; see that the service runs, and the address",
}


def from_system(error: OSError) -> DeborchError:
    """What the operating system refused, with the file that it was about."""
    about = f"{error.filename}: " if error.filename else ""
    what = f"{about}{error.strerror or error}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DeborchError(ErrorCode.DISK_FULL, what, hint="free space on that disk, or choose a place on another one")
    return DeborchError(ErrorCode.INVALID_INPUT, what, hint=_SYSTEM_HINTS.get(error.errno or 0, _SYSTEM_HINT))


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
