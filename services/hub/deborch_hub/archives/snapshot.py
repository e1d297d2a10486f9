"""Writing one published state of an archive: the pool first, then the indices, then Release and its signatures."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deborch_hub.archives.cache import CacheState, IndexRecord, ShardCache, pack
from deborch_hub.archives.durable import Written, flush, point
from deborch_hub.archives.indices import Index, IndexKind, changed_blocks, indices_of
from deborch_hub.archives.layout import ArchiveLayout
from deborch_hub.archives.release import FileSum
from deborch_hub.archives.shards import Draft, Shard, patch, total_packages
from deborch_hub.archives.signing import Signatures
from deborch_hub.domain.packages import ListedBinary, ListedSource
from deborch_hub.store.archive_contents import ArchiveChanges
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256

_THREADS = 4
"""Packing and hashing leave the interpreter to others; more threads than that wait for the disk."""


class SnapshotWriter:
    """The files of one snapshot of one archive; all of it blocks, so call it in a thread.

    Args:
        base: the publication that `changes` follow, None if they are everything there is.
    """

    def __init__(
        self,
        layout: ArchiveLayout,
        name: str,
        *,
        architectures: Sequence[str],
        versions_listed: int,
        blob_path: Callable[[Sha256], Path],
        base: CacheState | None,
    ) -> None:
        self.name = name
        self._layout = layout
        self._indices = indices_of(architectures)
        self._versions = versions_listed
        self._blob_path = blob_path
        self._base = base
        self._cache = ShardCache(layout.cache)
        self._written = Written()
        self._partial = layout.partials / name
        self._suite = layout.suite(self._partial)
        before = layout.current_snapshot()
        self._before = layout.suite(layout.snapshot(before)) if before else None

    def write(self, changes: ArchiveChanges) -> dict[str, IndexRecord]:
        """Link the pool and write every index; returns the indices by path."""
        self._written.directory(self._suite)
        self._link_pool([*changes.binaries, *changes.sources])
        with ThreadPoolExecutor(_THREADS, "archive-index") as threads:
            shards = {
                index.path: list(threads.map(self._stored, self._shards(index, changes))) for index in self._indices
            }
            records = threads.map(lambda index: self._write_index(index, shards[index.path]), self._indices)
            return {index.path: record for index, record in zip(self._indices, records, strict=True)}

    def keep_by_hash(self, indices: dict[str, IndexRecord], generations: int) -> list[list[str]]:
        """Keep what the last `generations` publications offered by digest; returns it with our own, newest last."""
        own = [index.by_hash(indices[index.path].packed_sha256) for index in self._indices]
        earlier = self._base.by_hash if self._base else [self._offered_before()]
        kept = earlier[len(earlier) - generations :] if generations else []
        for path in {path for paths in kept for path in paths} - set(own):
            if self._before is not None and (self._before / path).exists():
                self._written.directory((self._suite / path).parent)
                self._written.link(self._before / path, self._suite / path)
        return [*kept, own]

    def sums(self, indices: dict[str, IndexRecord]) -> Iterator[FileSum]:
        """What Release vouches for."""
        for index in self._indices:
            record = indices[index.path]
            yield FileSum(index.path, record.sha256, record.size_bytes)
            yield FileSum(index.packed_path, record.packed_sha256, record.packed_bytes)

    def packages(self, indices: dict[str, IndexRecord]) -> int:
        """How many binary packages are listed."""
        return sum(
            total_packages(indices[index.path].shards for index in self._indices if index.kind is kind)
            for kind in (IndexKind.BINARY, IndexKind.INSTALLER)
        )

    def finish(self, release: bytes, signatures: Signatures) -> None:
        """Add Release and its signatures, and let readers find the snapshot by its name."""
        for name, content in (
            ("Release", release),
            ("Release.gpg", signatures.detached),
            ("InRelease", signatures.inline),
        ):
            self._written.file(self._suite / name, [content])
        self._date_after_the_last()
        (self._partial / "pool").symlink_to("../../pool")
        self._written.flush()
        self._partial.rename(self._layout.snapshot(self.name))
        flush(self._layout.snapshots)

    def switch(self) -> None:
        """Let readers get this snapshot from now on."""
        point(self._layout.current, f"snapshots/{self.name}")

    def discard(self) -> None:
        """Remove what is not finished."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _date_after_the_last(self) -> None:
        """Give InRelease a later second than the one before has: HTTP asks by whole seconds what is new."""
        if self._before is not None and (self._before / "InRelease").exists():
            earliest = int((self._before / "InRelease").stat().st_mtime) + 1
            at = max((self._suite / "InRelease").stat().st_mtime, earliest)
            for name in ("InRelease", "Release", "Release.gpg"):
                os.utime(self._suite / name, (at, at))

    def _shards(self, index: Index, changes: ArchiveChanges) -> list[Shard | Draft]:
        before = self._base.indices[index.path].shards if self._base else ()
        return patch(before, changed_blocks(index, changes, self._versions), self._cache.text)

    def _stored(self, shard: Shard | Draft) -> Shard:
        return self._cache.store(shard, self._written) if isinstance(shard, Draft) else shard

    def _write_index(self, index: Index, shards: Sequence[Shard]) -> IndexRecord:
        self._written.directory(self._suite / index.by_hash_directory)
        record = self._unchanged(index, shards) or self._new_index(index, shards)
        self._written.link(self._suite / index.by_hash(record.packed_sha256), self._suite / index.packed_path)
        return record

    def _unchanged(self, index: Index, shards: Sequence[Shard]) -> IndexRecord | None:
        """The index as it was published before, linked, if it would be the same."""
        record = self._base.indices[index.path] if self._base else None
        if record is None or self._before is None or list(record.shards) != list(shards):
            return None
        path = index.by_hash(record.packed_sha256)
        if not (self._before / path).exists():
            return None
        self._written.link(self._before / path, self._suite / path)
        return record

    def _new_index(self, index: Index, shards: Sequence[Shard]) -> IndexRecord:
        packed = hashlib.sha256()
        path = self._suite / index.directory / ".new"
        members: Iterable[bytes] = map(self._cache.packed, shards) if shards else [pack(b"")]
        self._written.file(path, _hashing(members, packed.update))
        by_hash = self._suite / index.by_hash(packed.hexdigest())
        self._written.rename(path, by_hash)
        plain = hashlib.sha256()
        for shard in shards:
            plain.update(self._cache.text(shard))
        return IndexRecord(
            shards=shards,
            sha256=plain.hexdigest(),
            size_bytes=sum(shard.text_bytes for shard in shards),
            packed_sha256=packed.hexdigest(),
            packed_bytes=by_hash.stat().st_size,
        )

    def _link_pool(self, packages: Iterable[ListedBinary | ListedSource]) -> None:
        for package in packages:
            directory = self._layout.base / package.directory
            self._written.directory(directory)
            for file in package.files:
                if not (directory / file.name).exists():
                    self._link_blob(file.sha256, directory / file.name)

    def _link_blob(self, sha256: Sha256, path: Path) -> None:
        try:
            self._written.link(self._blob_path(sha256), path)
        except FileNotFoundError as error:
            raise DeborchError(
                ErrorCode.INTERNAL,
                f"the blob of {path.name} (SHA-256 {sha256}) is not on the disk",
                hint="the archive stays as it is until the file is back under that digest in the hub's blobs directory",
            ) from error

    def _offered_before(self) -> list[str]:
        """All that the snapshot before offers by digest, for when the cache cannot say."""
        if self._before is None:
            return []
        return [str(path.relative_to(self._before)) for path in self._before.glob("**/by-hash/SHA256/*")]


def _hashing(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk
