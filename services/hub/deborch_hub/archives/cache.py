"""What the last publication knew, kept so that the next one does only what is new.

Only a cache: it can be deleted at any time, and a part that is missing or does not fit is not used.
"""

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from deborch_hub.archives.durable import Written
from deborch_hub.archives.shards import Draft, Shard, count_stanzas

_FORMAT = 1
_GZIP_LEVEL = 6
"""9 takes three times as long and saves 1%."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """One index as it was published: its shards and, of the whole, digest and size, plain and packed."""

    shards: Sequence[Shard]
    sha256: str
    size_bytes: int
    packed_sha256: str
    packed_bytes: int


@dataclass(frozen=True, slots=True)
class CacheState:
    """One publication: which, made by which rules, its indices by path, and what it offers by digest.

    `by_hash` has a list of paths for each of the last publications, the newest last.
    """

    generation: int
    snapshot: str
    rules: str
    indices: dict[str, IndexRecord]
    by_hash: list[list[str]] = field(default_factory=list)


class ShardCache:
    """Shards by the digest of their text, plain and packed, and the state that names them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / "state.json"

    def state(self) -> CacheState | None:
        """The last state that was saved; None if there is none that this version can use."""
        try:
            saved = orjson.loads(self._state.read_bytes())
            if saved.pop("format") != _FORMAT:
                return None
            saved["indices"] = {
                path: IndexRecord(**(record | {"shards": [Shard(**shard) for shard in record["shards"]]}))
                for path, record in saved["indices"].items()
            }
            state = CacheState(**saved)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return state if self._is_whole(state) else None

    def _is_whole(self, state: CacheState) -> bool:
        """Whether every shard is there with its size: a power cut leaves the last ones short."""
        try:
            return all(
                self._text(shard.digest).stat().st_size == shard.text_bytes
                and self._packed(shard.digest).stat().st_size == shard.packed_bytes
                for record in state.indices.values()
                for shard in record.shards
            )
        except OSError:
            return False

    def text(self, shard: Shard) -> bytes:
        return self._text(shard.digest).read_bytes()

    def packed(self, shard: Shard) -> bytes:
        """A gzip member of its own: members in a row are one gzip file (RFC 1952, section 2.2)."""
        return self._packed(shard.digest).read_bytes()

    def store(self, draft: Draft, written: Written) -> Shard:
        """Keep a shard's text and its packed form."""
        digest = hashlib.sha256(draft.text).hexdigest()
        packed = pack(draft.text)
        for path, content in ((self._text(digest), draft.text), (self._packed(digest), packed)):
            path.unlink(missing_ok=True)
            written.file(path, [content])
        stanzas, stanzas_of_all = count_stanzas(draft.text)
        return Shard(draft.first, digest, len(draft.text), len(packed), stanzas, stanzas_of_all)

    def save(self, state: CacheState) -> None:
        """Make `state` the last one and drop every shard that it does not name."""
        new = self._state.with_suffix(".new")
        new.write_bytes(orjson.dumps({"format": _FORMAT} | asdict(state)))
        new.replace(self._state)
        named = {shard.digest for record in state.indices.values() for shard in record.shards}
        self._drop(path for path in self._directory.iterdir() if path != self._state and path.stem not in named)

    def _drop(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink()

    def _text(self, digest: str) -> Path:
        return self._directory / f"{digest}.txt"

    def _packed(self, digest: str) -> Path:
        return self._directory / f"{digest}.gz"


def pack(text: bytes) -> bytes:
    """`text` as a gzip member that depends on nothing but the text."""
    return gzip.compress(text, _GZIP_LEVEL, mtime=0)
