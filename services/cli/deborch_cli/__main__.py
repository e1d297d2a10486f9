"""The program `deborch`: run one command, and turn whatever goes wrong into a message and an exit code."""

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from deborch_cli.app import root_command
from deborch_cli.exit_codes import ExitCode
from deborch_shared.errors import DeborchError, ErrorCode


def run(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name); its exit code."""
    try:
        result = root_command().main(list(arguments), prog_name="deborch", standalone_mode=False)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        return _failed(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else ExitCode.OK


def _failed(error: Exception, *, as_json: bool) -> ExitCode:
    from deborch_cli import failures  # noqa: PLC0415 - only a failure pays for what showing one needs

    match error:
        case DeborchError():
            known = error
        case TyperException():
            known = failures.from_usage(error)
        case typer.Abort():
            known = DeborchError(ErrorCode.INVALID_INPUT, "there was no answer", hint="answer, or give it as an option")
        case ExceptionGroup():
            return _failed(error.exceptions[0], as_json=as_json)
        case OSError():
            known = failures.from_system(error)
        case _:
            known = failures.from_bug(error)
    return failures.report(known, as_json=as_json)


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
