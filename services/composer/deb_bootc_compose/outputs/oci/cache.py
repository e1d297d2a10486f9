"""Layers that were written before, by what is in them: what did not change is not compressed again."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from deb_bootc_compose.commits.listing import CommittedFile
from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.outputs.oci.layer import COMPRESSOR, FORMAT, Compression, Written, write_layer
from deb_bootc_compose.outputs.oci.tree import Tree


class LayerCache:
    """A directory with `KEY.json` and `blobs/DIGEST`. Safe with many processes: files appear whole, by rename."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._blobs = directory / "blobs"

    def written(self, tree: Tree, entries: Sequence[CommittedFile], *, compression: Compression, level: int) -> Written:
        """The layer of `entries`, from the cache or written now. Blocks: call it in a thread."""
        key = self._directory / f"{_key(entries, compression, level)}.json"
        known = self._known(key)
        if known is not None:
            return known
        self._blobs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=self._directory) as scratch:
            new = Path(scratch) / "layer"
            layer = write_layer(tree, entries, new, compression=compression, level=level)
            new.replace(self.blob(layer.digest))
            record = Path(scratch) / "record"
            record.write_bytes(orjson.dumps(asdict(layer)))
            record.replace(key)
        return layer

    def blob(self, digest: str) -> Path:
        """Where the compressed layer is."""
        return self._blobs / digest

    def _known(self, key: Path) -> Written | None:
        """What the cache has under `key`, if it is whole; its times say that it was used, for who cleans up."""
        try:
            layer = Written(**orjson.loads(key.read_bytes()))
            blob = self.blob(layer.digest)
            if blob.stat().st_size != layer.size_bytes:
                return None
        except (OSError, ValueError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(key)
            os.utime(blob)
        return layer


def _key(entries: Sequence[CommittedFile], compression: Compression, level: int) -> str:
    return digest_of(
        {
            "format": FORMAT,
            "compressor": COMPRESSOR[compression],
            "level": level,
            "entries": sorted(
                (entry.path, entry.kind.value, entry.mode, entry.uid, entry.gid, entry.checksum) for entry in entries
            ),
        }
    )
