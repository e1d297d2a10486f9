"""Entry point of `deb-mock`."""

import sys

from deb_mock.cli.app import app
from deb_mock.cli.finish import report_error
from deb_mock.failures import exit_code
from deb_mock.host.rootless import enter_user_namespace
from deborch_shared.errors import DeborchError


def main() -> None:
    """Run the command line. What a command refuses before it does anything is an error like any other."""
    try:
        enter_user_namespace()
        app()
    except DeborchError as error:
        report_error(error, as_json="--json" in sys.argv)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
