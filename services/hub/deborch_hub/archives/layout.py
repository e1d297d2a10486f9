"""Where an archive's files are on disk.

<root>/<target>/
  <target>.sources          deb822, with the key inside
  dists -> current/dists    so that the directory is an APT repository to any web server and to file:
  current -> snapshots/T    what readers get; moved to another snapshot by one rename
  snapshots/T/dists/...     one published state, never changed; T is YYYYMMDDTHHMMSSZ
  snapshots/T/pool -> ../../pool
  pool/ab/<sha256>/<name>   hard links to blobs (copies, if on another file system), by the digest of the .deb or .dsc
  .partial/  .cache/  .lock   the publisher's own
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_TARGET = re.compile(r"[a-z0-9][a-z0-9+._-]{0,62}\Z")
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

    @property
    def partials(self) -> Path:
        """Where snapshots grow until they are whole; no reader is let in."""
        return self.base / ".partial"

    def suite(self, snapshot: Path) -> Path:
        """The directory of Release in `snapshot` (finished or partial)."""
        return snapshot / "dists" / self.target

    def current_snapshot(self) -> str | None:
        """The name of the snapshot that readers get, None if there is none."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def open_lock(self) -> IO[str]:
        """The file to lock before anything here is changed."""
        self.base.mkdir(parents=True, exist_ok=True)
        return self.lock.open("w")

    def make(self) -> None:
        """Make the directories and links that every archive has."""
        for directory in (self.snapshots, self.partials, self.pool, self.cache):
            directory.mkdir(parents=True, exist_ok=True)
        if not self.dists.is_symlink():
            self.dists.symlink_to("current/dists")


def _not_there(target: str) -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND,
        f"there is no archive of a target {bounded(target, 200)!r}",
        hint="deborch target list shows the targets that there are",
    )
