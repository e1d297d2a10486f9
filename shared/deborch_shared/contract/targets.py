"""Targets and their archives."""

from datetime import datetime

from pydantic import Field

from deborch_shared.contract.base import Architecture, Input, Name, Output, SuiteName, Tag


class TargetCreate(Input):
    """A target: a Debian suite to build against, the architectures, and an archive of its own for the results."""

    name: Name
    suite: SuiteName
    architectures: tuple[Architecture, ...] = Field(min_length=1, max_length=32)
    components: tuple[Name, ...] = ("main",)
    required_tags: tuple[Tag, ...] = ()
    require_signature: bool = False
    """Refuse a .dsc that no key of the hub's source keyring has signed."""


class Target(Output):
    name: str
    suite: str
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    required_tags: tuple[str, ...]
    require_signature: bool
    archive_url: str
    created_at: datetime


class Archive(Output):
    """The APT repository of a target. `url` is what a `.sources` file names as URIs."""

    target: str
    suite: str
    url: str
    sources_url: str
    key_fingerprint: str
    generation: int
    published_at: datetime | None
    architectures: tuple[str, ...]
    packages: int
    sources: int
    size_bytes: int


class Snapshot(Output):
    """The archive as it was at one time, still readable at `url`."""

    name: str
    url: str
    generation: int
    published_at: datetime
    packages: int


class PackageEntry(Output):
    """One binary package of an archive."""

    package: str
    version: str
    architecture: str
    source: str
    sha256: str
    size_bytes: int
    added_at: datetime
    build_id: int | None
