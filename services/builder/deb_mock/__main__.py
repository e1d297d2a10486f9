"""Entry point of `deb-mock`."""

from deb_mock.cli.app import app
from deb_mock.rootless import enter_user_namespace


def main() -> None:
    """Run the command line."""
    enter_user_namespace()
    app()


if __name__ == "__main__":
    main()
