"""The images of a compose, found in what its output phases left."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deb_bootc_compose.phases.api import PhaseWork, Target
from deb_bootc_compose.phases.deliverables import IMAGES

FORMATS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "output.ociarchive": ("ociarchive", True),
        "output.raw": ("raw", True),
        "output.qcow2": ("qcow2", True),
        "output.iso": ("iso", True),
        "output.tar": ("tar.zst", False),
    }
)
"""Phase: productmd's format, and whether it boots."""


@dataclass(frozen=True, slots=True)
class Image:
    """One file of the compose."""

    target: Target
    kind: str
    format: str
    bootable: bool
    path: str
    """Below `compose/`."""
    file: Path
    sha256: str
    size_bytes: int


def images_of(work: PhaseWork) -> list[Image]:
    """Sorted by their paths."""
    found: list[Image] = []
    for (phase, target), result in work.all_results.items():
        if target is None or phase not in FORMATS:
            continue
        name = result.facts.get("path") or result.facts.get("archive")
        sha256 = result.facts.get("sha256") or result.facts.get("archive_sha256")
        if not isinstance(name, str) or not isinstance(sha256, str):
            continue
        file = result.directory / name
        format_, bootable = FORMATS[phase]
        path = f"{target.variant}/{target.architecture}/{IMAGES}/{file.name}"
        kind = phase.removeprefix("output.")
        found.append(Image(target, kind, format_, bootable, path, file, sha256, file.stat().st_size))
    return sorted(found, key=lambda image: image.path)
