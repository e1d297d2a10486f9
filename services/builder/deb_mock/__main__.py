"""Entry point of `deb-mock`."""

from deb_mock.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
