"""The program `deborch`: run one command, and turn whatever goes wrong into a message and an exit code."""

import sys
from collections.abc import Sequence

from deborch_cli.app import root_command
from deborch_cli.exit_codes import ExitCode


def run(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name); its exit code."""
    try:
        result = root_command().main(list(arguments), prog_name="deborch", standalone_mode=False)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        from deborch_cli import failures  # noqa: PLC0415 - only a failure pays for what telling it needs

        return failures.tell(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else ExitCode.OK


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
