"""The lock file: every package of a tree, exactly, and where it was. The format of `lock.json`, `packages.json` and
`sources.json`; see docs/reference/compose-lock.md."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode, bounded

FORMAT: Literal["deb-bootc-compose-lock/1"] = "deb-bootc-compose-lock/1"
PACKAGES_FORMAT = "deb-bootc-compose-packages/1"
SOURCES_FORMAT = "deb-bootc-compose-sources/1"
LOCK_FILE, PACKAGES_FILE, SOURCES_FILE = "lock.json", "packages.json", "sources.json"
_MAX_BYTES = 64 << 20
_DIGEST = r"^[0-9a-f]{64}$"
_NAME = r"^[a-z0-9][a-z0-9+.-]+$"
_VERSION = r"^[A-Za-z0-9.+:~-]+$"


def _below(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ValueError("is no path below an archive")
    return path


ArchivePath = Annotated[str, AfterValidator(_below), Field(min_length=1)]
"""Of a file in an archive: relative, and it stays there."""


class Entry(BaseModel):
    """Frozen and strict, since lock files come from outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LockedRepository(Entry):
    """Where packages were; without user names and passwords, and no place on this host."""

    name: str
    uri: str | None = None
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


class LockedPackage(Entry):
    """One .deb."""

    name: str = Field(pattern=_NAME)
    version: str = Field(pattern=_VERSION)
    architecture: str = Field(pattern=_NAME)
    """As in the .deb: `all` where it is."""
    sha256: str = Field(pattern=_DIGEST)
    size_bytes: int = Field(ge=0)
    installed_kib: int = Field(ge=0)
    source: str = Field(pattern=_NAME)
    source_version: str = Field(pattern=_VERSION)
    repository: str
    path: ArchivePath
    """Below the address of the repository."""

    @property
    def identity(self) -> list[str | int]:
        """What decides the tree, wherever the .deb came from."""
        return [self.name, self.version, self.architecture, self.sha256, self.size_bytes]

    @property
    def file_name(self) -> str:
        """In a directory; the epoch is kept, as apt does it."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    @property
    def apt_name(self) -> str:
        """As apt and mmdebstrap take exactly this one."""
        architecture = "" if self.architecture == "all" else f":{self.architecture}"
        return f"{self.name}{architecture}={self.version}"


class LockedSource(Entry):
    """The source package of packages in the tree; no .dsc if no index that was read has it."""

    source: str = Field(pattern=_NAME)
    version: str = Field(pattern=_VERSION)
    repository: str | None = None
    dsc: ArchivePath | None = None
    dsc_sha256: str | None = Field(default=None, pattern=_DIGEST)
    dsc_size_bytes: int | None = None


class Lock(Entry):
    """All of it, each part sorted."""

    format: Literal["deb-bootc-compose-lock/1"] = FORMAT
    suite: str
    architecture: str
    foreign_architectures: tuple[str, ...] = ()
    repositories: tuple[LockedRepository, ...] = ()
    packages: tuple[LockedPackage, ...]
    sources: tuple[LockedSource, ...] = ()

    @property
    def digest(self) -> str:
        """Of the packages alone: the same from whichever mirror they came."""
        return digest_of([list(self.foreign_architectures), [package.identity for package in self.packages]])

    def write(self, directory: Path) -> None:
        """The three files."""
        rows = self.model_dump(mode="json", exclude_none=True)
        packages = {"format": PACKAGES_FORMAT, "architecture": self.architecture, "packages": rows["packages"]}
        sources = {"format": SOURCES_FORMAT, "sources": _with_binaries(self)}
        for name, content in ((LOCK_FILE, rows), (PACKAGES_FILE, packages), (SOURCES_FILE, sources)):
            (directory / name).write_bytes(
                orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )


def sorted_packages(packages: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    """In the order of lock files."""
    return tuple(sorted(packages, key=lambda one: (one.name, one.architecture, one.version)))


def read_lock(path: Path) -> Lock:
    """The lock file at `path`.

    Raises:
        DeborchError: INVALID_INPUT of class TREEFILE, with the place of what is wrong.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_BYTES)
        return Lock.model_validate_json(content)
    except OSError as error:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"the lock file {path} cannot be read: {error.strerror}",
            hint="give lock.json of an earlier compose",
        ) from error
    except ValueError as error:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"{path} is no lock file of this version: {_first(error)}",
            hint="give lock.json of an earlier compose, as it was written",
        ) from error


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return bounded(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", 300)


def _with_binaries(lock: Lock) -> list[dict[str, object]]:
    names: dict[tuple[str, str], list[str]] = {}
    for package in lock.packages:
        names.setdefault((package.source, package.source_version), []).append(package.name)
    return [
        {
            **source.model_dump(mode="json", exclude_none=True),
            "binaries": sorted(set(names.get((source.source, source.version), ()))),
        }
        for source in lock.sources
    ]
