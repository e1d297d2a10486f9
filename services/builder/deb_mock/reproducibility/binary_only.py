"""The changelog entry of a binNMU, as its .buildinfo has it, so that it can be built again word for word."""

import re
from email.utils import parsedate_to_datetime
from typing import NoReturn

from deb_mock.failures import FailureClass, failure
from deb_mock.model import ChangedVersion
from deb_mock.reproducibility.buildinfo import BuildInfo
from deborch_shared.errors import ErrorCode

_BINNMU = re.compile(r"(?P<before>.*?)\+b(?P<number>\d+)\Z")
_TRAILER = re.compile(r"^ -- (?P<maintainer>[^<>\n]+ <[^<>\s]+>)  (?P<date>[^\n]+)$", re.MULTILINE)
_APPENDED_TO = "the version of the source with something added to it"


def changed_version(info: BuildInfo) -> ChangedVersion | None:
    """How the version of the binary packages differs from that of the source; None if it does not.

    Raises:
        DeborchError: INVALID_SOURCE if the .buildinfo does not have the changelog entry.
    """
    if info.version == info.source_version:
        return None
    entry = "".join(f"{line}\n" for line in map(_line, info.changes.strip("\n").splitlines()))
    trailer = _TRAILER.search(entry)
    if trailer is None or not entry.startswith(f"{info.source} ({info.version}) "):
        _refuse("Binary-Only-Changes is not the changelog entry of its version")
    try:
        timestamp_s = int(parsedate_to_datetime(trailer["date"]).timestamp())
    except ValueError:
        _refuse("Binary-Only-Changes has no date")
    number, append = _difference(info)
    return ChangedVersion(
        maintainer=trailer["maintainer"],
        timestamp_s=timestamp_s,
        binnmu=number,
        append=append,
        text="as in the .buildinfo",
        entry=f"{entry}\n",
    )


def _line(field_line: str) -> str:
    """A line of a multi-line field as it was (deb822(5)): one blank before it, and a dot for an empty one."""
    line = field_line.removeprefix(" ")
    return "" if line == "." else line


def _difference(info: BuildInfo) -> tuple[int | None, str]:
    binnmu = _BINNMU.match(info.version)
    if binnmu is not None and binnmu["before"] == (_BINNMU.sub(r"\g<before>", info.source_version)):
        return int(binnmu["number"]), ""
    if not info.version.startswith(info.source_version):
        _refuse(f"its version {info.version} is not {_APPENDED_TO}, {info.source_version}")
    return None, info.version.removeprefix(info.source_version)


def _refuse(problem: str) -> NoReturn:
    raise failure(
        FailureClass.POLICY,
        ErrorCode.INVALID_SOURCE,
        f"the .buildinfo cannot be used: {problem}",
        hint="give the .buildinfo as dpkg-genbuildinfo wrote it",
    )
