"""The time of a commit: that of the newest package in it, so that a lock file says it, not the clock."""

from collections.abc import Iterable
from pathlib import Path

_MAGIC = b"!<arch>\n"
_TIME = slice(len(_MAGIC) + 16, len(_MAGIC) + 28)
"""Of the first member of an ar(5) archive: dpkg-deb writes the SOURCE_DATE_EPOCH of the build there."""


def newest_package_s(debs: Iterable[Path]) -> int:
    """Seconds since 1970 at which the newest of `debs` was built; 0 if none says so."""
    newest = 0
    for deb in debs:
        with deb.open("rb") as opened:
            head = opened.read(_TIME.stop)
        written = head[_TIME].strip()
        if head.startswith(_MAGIC) and written.isdigit():
            newest = max(newest, int(written))
    return newest
