"""Two composes, target by target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.comparison.packages import Change, PackageChange, package_changes
from deb_bootc_compose.state.compose_directory import ComposeDirectory

PACKAGES = "packages.json"
"""In the place of a target."""


@dataclass(frozen=True, slots=True)
class SizeChange:
    """One image, by its kind (`raw`, `ociarchive`): file names differ by version. None: not there."""

    name: str
    before_bytes: int | None
    after_bytes: int | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of the tree."""

    path: str
    change: Change


@dataclass(frozen=True, slots=True)
class TargetChanges:
    """What differs for one variant and architecture."""

    target: str
    """`A -> B` where the variant has another name in the second."""
    change: Change | None
    """ADDED or REMOVED if only one of the composes has it."""
    commits: tuple[str | None, str | None]
    packages: tuple[PackageChange, ...]
    sizes: tuple[SizeChange, ...]
    files: tuple[FileChange, ...] | None
    """None: not looked at, or a tree is not there any more."""


class Trees(Protocol):
    """Files of commits."""

    async def digests(self, commit: str) -> Mapping[str, str] | None:
        """A digest of content and attributes by path; None if the commit is not there."""


async def compare_composes(
    before: ComposeDirectory, after: ComposeDirectory, trees: Trees | None = None
) -> list[TargetChanges]:
    """Everything that differs, by target. Composes of one target each are compared whatever their variants' names."""
    old, new = _targets(before), _targets(after)
    return [
        await _compare(_Side(before, name, old.get(name)), _Side(after, other, new.get(other)), trees)
        for name, other in _pairs(sorted(old), sorted(new))
    ]


def _pairs(old: list[str], new: list[str]) -> list[tuple[str, str]]:
    if len(old) == len(new) == 1 and old[0].rpartition(".")[2] == new[0].rpartition(".")[2]:
        return [(old[0], new[0])]
    return [(name, name) for name in sorted({*old, *new})]


@dataclass(frozen=True, slots=True)
class _Side:
    compose: ComposeDirectory
    target: str
    place: Path | None
    """None: the compose has no such target."""

    @property
    def packages(self) -> Path:
        return (self.place or Path("/nonexistent")) / PACKAGES

    @property
    def commit(self) -> str | None:
        content = self.compose.phase(f"ostree.{self.target}") or {}
        commit = content.get("facts", {}).get("commit")
        return str(commit) if commit else None


async def _compare(old: _Side, new: _Side, trees: Trees | None) -> TargetChanges:
    commits = old.commit, new.commit
    return TargetChanges(
        target=new.target if old.target == new.target else f"{old.target} -> {new.target}",
        change=Change.ADDED if old.place is None else Change.REMOVED if new.place is None else None,
        commits=commits,
        packages=tuple(package_changes(old.packages, new.packages)),
        sizes=_sizes(old.place, new.place),
        files=await _files(commits, trees),
    )


def _targets(compose: ComposeDirectory) -> dict[str, Path]:
    """By `VARIANT.ARCHITECTURE`: what the compose was asked for."""
    names = [name.rpartition(".") for name in (compose.description or {}).get("treefiles", {})]
    return {f"{variant}.{architecture}": compose.place(variant, architecture) for variant, _, architecture in names}


def _sizes(old: Path | None, new: Path | None) -> tuple[SizeChange, ...]:
    before, after = _images(old), _images(new)
    changes = (SizeChange(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys()))
    return tuple(change for change in changes if change.before_bytes != change.after_bytes)


def _images(place: Path | None) -> dict[str, int]:
    """Sizes by suffix: names have the version in them."""
    if place is None:
        return {}
    return {path.suffix.lstrip(".") or path.name: path.stat().st_size for path in sorted(place.glob("images/*"))}


async def _files(commits: tuple[str | None, str | None], trees: Trees | None) -> tuple[FileChange, ...] | None:
    if trees is None or commits[0] is None or commits[1] is None:
        return None
    old, new = await trees.digests(commits[0]), await trees.digests(commits[1])
    if old is None or new is None:
        return None
    return tuple(
        FileChange(path, Change.ADDED if path not in old else Change.REMOVED if path not in new else Change.CHANGED)
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )
