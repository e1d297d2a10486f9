"""What a user may name to be built: a .dsc, an unpacked tree, or NAME[=VERSION] of the suite."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_mock.failures import FailureClass, failure
from deborch_shared import versions
from deborch_shared.errors import ErrorCode, bounded

_NAMED = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?:=(?P<version>\S+))?\Z")


@dataclass(frozen=True, slots=True)
class DscFile:
    """A .dsc, the files that it lists beside it."""

    path: Path


@dataclass(frozen=True, slots=True)
class TreeDirectory:
    """A directory with debian/."""

    path: Path


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """A source package of the suite; without a version the newest."""

    name: str
    version: str | None


SourceArgument = DscFile | TreeDirectory | SuiteSource


def understand(text: str) -> SourceArgument:
    """Which of them `text` is. What is on the disk goes before what may be in the suite.

    Raises:
        DeborchError: INVALID_INPUT if it is none.
    """
    path = Path(text)
    if text.endswith(".dsc"):
        return DscFile(path.absolute())
    if (path / "debian" / "changelog").exists():
        return TreeDirectory(path.absolute())
    named = _NAMED.match(text)
    if named is None or path.is_dir() or (named["version"] is not None and not versions.is_valid(named["version"])):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"{bounded(text, 200)!r} is no source package",
            hint="give a .dsc file, a directory with debian/changelog, or NAME[=VERSION] of the suite",
        )
    return SuiteSource(named["name"], named["version"])


def outside_of_trees(arguments: Sequence[SourceArgument], directory: Path) -> Path:
    """`directory`, or the nearest above it that is in no tree to be built: nothing is written into those."""
    trees = [one.path.resolve() for one in arguments if isinstance(one, TreeDirectory)]
    directory = directory.resolve()
    while any(directory.is_relative_to(tree) for tree in trees):
        directory = directory.parent
    return directory
