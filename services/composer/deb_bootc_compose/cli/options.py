"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from deb_bootc_compose.failures import EXIT_CODES, EXIT_UNKNOWN
from deb_bootc_compose.treefile.resolving import Asked
from deborch_shared.errors import DeborchError, ErrorCode

EPILOG = (
    "Exit codes: 0 done, 2 wrong usage, "
    + ", ".join(f"{code} {kind.value}" for kind, code in EXIT_CODES.items())
    + f", {EXIT_UNKNOWN} anything else."
)

TreefilePath = Annotated[Path, typer.Argument(metavar="TREEFILE", help="A treefile, in YAML or JSON.")]
Variables = Annotated[
    list[str] | None, typer.Option("--variable", metavar="NAME=VALUE", help="Set a variable of the treefile.")
]
Allowed = Annotated[
    list[Path] | None,
    typer.Option("--allow", metavar="DIRECTORY", help="The treefile may also name files below this directory."),
]
DEFAULT_STATE_DIR = Path("/var/lib/deb-bootc-compose")
StateDir = Annotated[
    Path, typer.Option(envvar="DEB_BOOTC_COMPOSE_STATE_DIR", help="Composes, finished phases, caches, repositories.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def asked(treefile: Path, variables: list[str] | None, allowed: list[Path] | None) -> Asked:
    """The treefile with what was given beside it.

    Raises:
        DeborchError: INVALID_INPUT for a variable without a value.
    """
    given: dict[str, str] = {}
    for text in variables or ():
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise DeborchError(
                ErrorCode.INVALID_INPUT,
                f"--variable {text}: NAME=VALUE is expected",
                hint="for example --variable channel=stable",
                failure_class="treefile",
            )
        given[name] = value
    return Asked(treefile, given, tuple(allowed or ()))
