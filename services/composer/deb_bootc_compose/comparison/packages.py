"""Packages of two trees, by their `packages.json`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.state.whole_files import read_json
from deborch_shared.versions import compare


class Change(StrEnum):
    """What became of a package, a file or an output."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package; None: it is not there."""

    name: str
    architecture: str
    change: Change
    before: str | None
    after: str | None
    installed_kib: int
    """How much more the tree takes for it; less than 0: less."""


def package_changes(before: Path, after: Path) -> list[PackageChange]:
    """What differs between two `packages.json`, by name. A file that is not there has no packages."""
    old, new = _packages(before), _packages(after)
    return list(_changes(old, new))


def _changes(old: dict[tuple[str, str], JsonObject], new: dict[tuple[str, str], JsonObject]) -> Iterator[PackageChange]:
    for name, architecture in sorted(old.keys() | new.keys()):
        was, is_ = old.get((name, architecture)), new.get((name, architecture))
        if was is not None and is_ is not None and (was["version"], was["sha256"]) == (is_["version"], is_["sha256"]):
            continue
        versions = was["version"] if was else None, is_["version"] if is_ else None
        grown_kib = (is_["installed_kib"] if is_ else 0) - (was["installed_kib"] if was else 0)
        yield PackageChange(name, architecture, _change(*versions), *versions, grown_kib)


def _change(before: str | None, after: str | None) -> Change:
    if before is None or after is None:
        return Change.ADDED if before is None else Change.REMOVED
    order = compare(before, after)
    if order == 0:
        return Change.CHANGED
    return Change.UPGRADED if order < 0 else Change.DOWNGRADED


def _packages(path: Path) -> dict[tuple[str, str], JsonObject]:
    content = read_json(path) or {}
    return {(package["name"], package["architecture"]): package for package in content.get("packages", ())}
