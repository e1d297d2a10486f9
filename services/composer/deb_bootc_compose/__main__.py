"""Entry point of `deb-bootc-compose`."""

import sys

from deb_bootc_compose.cli.app import app
from deb_bootc_compose.cli.finish import report_error
from deb_bootc_compose.failures import exit_code
from deborch_shared.errors import DeborchError


def main() -> None:
    """Run the command line. What a command refuses before it does anything is an error like any other."""
    try:
        app()
    except DeborchError as error:
        report_error(error, as_json="--json" in sys.argv)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
