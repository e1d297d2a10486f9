"""The options that give binary packages another version than their source."""

import os
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from deb_mock.failures import FailureClass, failure
from deb_mock.model import ChangedVersion
from deborch_shared.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class VersionOptions:
    """What the binary packages' version is, if not that of their source."""

    binnmu: Annotated[int | None, typer.Option("--binnmu", min=1, help="Rebuild as +bN, with --changelog.")] = None
    changelog: Annotated[
        str, typer.Option("--changelog", help="What changed, for --binnmu or --append-to-version.")
    ] = ""
    append_to_version: Annotated[
        str, typer.Option("--append-to-version", help="Added to the version, such as ~local1.")
    ] = ""
    maintainer: Annotated[
        str,
        typer.Option("--maintainer", help="Of that changelog entry: 'Name <address>'; else DEBFULLNAME and DEBEMAIL."),
    ] = ""
    binnmu_timestamp: Annotated[
        int | None,
        typer.Option("--binnmu-timestamp", help="Of that changelog entry, in seconds since the epoch; now."),
    ] = None

    def changed_version(self) -> ChangedVersion | None:
        """What the options ask for; None: packages of the version of their source.

        Raises:
            DeborchError: INVALID_INPUT if nobody says who makes the change.
        """
        if self.binnmu is None and not self.append_to_version:
            return None
        maintainer = self.maintainer or maintainer_of_environment()
        if not maintainer:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                "a changed version needs a maintainer for its changelog entry",
                hint="give --maintainer 'Name <address>', or set DEBFULLNAME and DEBEMAIL",
            )
        timestamp_s = self.binnmu_timestamp or int(time.time())
        return ChangedVersion(maintainer, timestamp_s, self.binnmu, self.append_to_version, self.changelog)


def maintainer_of_environment() -> str:
    """As devscripts(1) find it; empty if the environment does not say."""
    name, address = os.environ.get("DEBFULLNAME", ""), os.environ.get("DEBEMAIL", "")
    if "<" in address:
        return address
    return f"{name} <{address}>" if name and address else ""
