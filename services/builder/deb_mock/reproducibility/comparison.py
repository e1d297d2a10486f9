"""Packages of two builds beside each other, byte by byte through their digests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deb_mock.model import Artifact, ArtifactKind

_COMPARED = frozenset({ArtifactKind.DEB, ArtifactKind.UDEB, ArtifactKind.DDEB})


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One package; a digest is empty where a build did not make it."""

    name: str
    first_sha256: str
    second_sha256: str

    @property
    def is_same(self) -> bool:
        return self.first_sha256 == self.second_sha256


def packages_of(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """Name and SHA-256 of each binary package."""
    return {artifact.name: artifact.sha256 for artifact in artifacts if artifact.kind in _COMPARED}


def compare(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[ComparedFile, ...]:
    """Every package of either, by name."""
    names = sorted(first.keys() | second.keys())
    return tuple(ComparedFile(name, first.get(name, ""), second.get(name, "")) for name in names)
