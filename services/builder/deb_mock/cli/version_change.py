"""The options that give binary packages another version than their source."""

import os
import time
from typing import Annotated

import typer

from deb_mock.failures import FailureClass, failure
from deb_mock.model import ChangedVersion
from deborch_shared.errors import ErrorCode

BinNmu = Annotated[int | None, typer.Option("--binnmu", min=1, help="Rebuild as +bN, with --changelog.")]
Changelog = Annotated[str, typer.Option("--changelog", help="What changed, for --binnmu or --append-to-version.")]
Append = Annotated[str, typer.Option("--append-to-version", help="Added to the version, such as ~local1.")]
Maintainer = Annotated[
    str, typer.Option("--maintainer", help="Of that changelog entry: 'Name <address>'; else DEBFULLNAME and DEBEMAIL.")
]
Timestamp = Annotated[
    int | None, typer.Option("--binnmu-timestamp", help="Of that changelog entry, in seconds since the epoch; now.")
]


def changed_version(
    binnmu: int | None, changelog: str, append: str, maintainer: str, timestamp: int | None
) -> ChangedVersion | None:
    """What the options ask for; None: packages of the version of their source.

    Raises:
        DeborchError: INVALID_INPUT if nobody says who makes the change.
    """
    if binnmu is None and not append:
        return None
    maintainer = maintainer or maintainer_of_environment()
    if not maintainer:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            "a changed version needs a maintainer for its changelog entry",
            hint="give --maintainer 'Name <address>', or set DEBFULLNAME and DEBEMAIL",
        )
    return ChangedVersion(maintainer, timestamp or int(time.time()), binnmu, append, changelog)


def maintainer_of_environment() -> str:
    """As devscripts(1) find it; empty if the environment does not say."""
    name, address = os.environ.get("DEBFULLNAME", ""), os.environ.get("DEBEMAIL", "")
    if "<" in address:
        return address
    return f"{name} <{address}>" if name and address else ""
