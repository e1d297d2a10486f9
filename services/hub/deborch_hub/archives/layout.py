"""Where an archive's files are on disk, and which of them a reader may ask for.

<root>/<target>/
  <target>.sources          deb822, with the key inside
  dists -> current/dists    so that the directory is an APT repository to any web server and to file:
  current -> snapshots/T    what readers get; moved to another snapshot by one rename
  snapshots/T/dists/...     one published state, never changed; T is YYYYMMDDTHHMMSSZ
  snapshots/T/pool -> ../../pool
  pool/ab/<sha256>/<name>   hard links to blobs, by the digest of the .deb or .dsc
  .cache/  .lock            the publisher's own
"""

import re
from dataclasses import dataclass
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_TARGET = re.compile(r"[a-z0-9][a-z0-9+._-]{0,62}\Z")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+._~:%-]{0,254}\Z")
_PARTIAL = ".partial-"
COMPONENT = "main"


@dataclass(frozen=True, slots=True)
class ArchiveLayout:
    """The paths of one target's archive under `root`, the directory of all archives."""

    root: Path
    target: str

    def __post_init__(self) -> None:
        if not _TARGET.match(self.target):
            raise _not_there(self.target)

    @property
    def base(self) -> Path:
        return self.root / self.target

    @property
    def pool(self) -> Path:
        return self.base / "pool"

    @property
    def cache(self) -> Path:
        return self.base / ".cache"

    @property
    def lock(self) -> Path:
        return self.base / ".lock"

    @property
    def current(self) -> Path:
        return self.base / "current"

    @property
    def dists(self) -> Path:
        return self.base / "dists"

    @property
    def snapshots(self) -> Path:
        return self.base / "snapshots"

    @property
    def sources_file(self) -> Path:
        return self.base / f"{self.target}.sources"

    def snapshot(self, name: str) -> Path:
        return self.snapshots / name

    def partial(self, name: str) -> Path:
        """Where the snapshot `name` grows until it is whole; no reader is let in."""
        return self.snapshots / f"{_PARTIAL}{name}"

    def suite(self, snapshot: Path) -> Path:
        """The directory of Release in `snapshot` (finished or partial)."""
        return snapshot / "dists" / self.target

    def current_snapshot(self) -> str | None:
        """The name of the snapshot that readers get, None if there is none."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def make(self) -> None:
        """Make the directories and links that every archive has."""
        for directory in (self.snapshots, self.pool, self.cache):
            directory.mkdir(parents=True, exist_ok=True)
        if not self.dists.is_symlink():
            self.dists.symlink_to("current/dists")


def find_file(root: Path, target: str, path: str) -> Path:
    """The file that readers know as `/archives/<target>/<path>`.

    Raises:
        DeborchError: NOT_FOUND if there is no such file or it is none of a reader's business.
    """
    layout = ArchiveLayout(root, target)
    parts = path.split("/")
    readable = parts[0] in {"dists", "pool", "snapshots"} or path == layout.sources_file.name
    if not readable or not all(_PART.match(part) for part in parts):
        raise _not_there(f"{target}/{path}")
    found = layout.base.joinpath(*parts)
    if not found.is_file():
        raise _not_there(f"{target}/{path}")
    return found


def _not_there(what: str) -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND,
        f"the archives have no {bounded(what, 200)!r}",
        hint="the archive's .sources file names what apt reads; files of older snapshots are under snapshots/",
    )
