"""An index cut into shards, so that one changed package means one shard written again and the rest kept. Pure.

The stanzas of an index are sorted by package name. A name starts a shard if its checksum says so, never because of
what was there before: the same packages always give the same shards, whichever way the archive came to hold them.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MEAN_SHARD_PACKAGES = 256
_STANZA_END = b"\n\n"
_NAME_FIELD = b"Package: "

Block = bytes
"""All stanzas of one package name in one index, each with the blank line that ends it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A stored shard: its first package name, the SHA-256 of its text, and what is in it."""

    first: str
    digest: str
    text_bytes: int
    packed_bytes: int
    stanzas: int
    stanzas_of_all: int
    """How many of the stanzas are of architecture `all`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A shard that is not stored yet."""

    first: str
    text: bytes


def starts_shard(package: str) -> bool:
    return zlib.crc32(package.encode()) % MEAN_SHARD_PACKAGES == 0


def split(blocks: Mapping[str, Block]) -> Iterator[Draft]:
    """Cut `blocks` into shards, in the order of the names' bytes."""
    first = ""
    held: list[Block] = []
    for package in sorted(blocks):
        if held and starts_shard(package):
            yield Draft(first, b"".join(held))
            held = []
        if not held:
            first = package
        held.append(blocks[package])
    if held:
        yield Draft(first, b"".join(held))


def blocks_of(text: bytes) -> dict[str, Block]:
    """The blocks in a shard's text, by package name."""
    blocks: dict[str, Block] = {}
    for stanza in text.split(_STANZA_END)[:-1]:
        package = stanza[len(_NAME_FIELD) : stanza.index(b"\n")].decode()
        blocks[package] = blocks.get(package, b"") + stanza + _STANZA_END
    return blocks


def patch(
    shards: Sequence[Shard], changes: Mapping[str, Block | None], load: Callable[[Shard], bytes]
) -> list[Shard | Draft]:
    """The shards of an index after `changes` (None: the package is no longer listed).

    Gives what `split` would give of all blocks; `load` is asked for the text of changed shards only.
    """
    if not shards:
        return list(split({package: block for package, block in changes.items() if block is not None}))
    patched: list[Shard | Draft] = []
    touched = _touched(shards, changes)
    blocks: dict[str, Block] = {}
    for position, shard in enumerate(shards):
        if position in touched:
            blocks |= blocks_of(load(shard))
            _apply(blocks, touched[position])
            if position + 1 in touched:
                continue
        patched += split(blocks)
        blocks = {}
        if position not in touched:
            patched.append(shard)
    return patched


def _touched(shards: Sequence[Shard], changes: Mapping[str, Block | None]) -> dict[int, dict[str, Block | None]]:
    """Which shards change, and how. One that loses the name that starts it takes the one before along."""
    firsts = [shard.first for shard in shards]
    touched: dict[int, dict[str, Block | None]] = {}
    for package, block in changes.items():
        position = max(bisect_right(firsts, package) - 1, 0)
        touched.setdefault(position, {})[package] = block
        if block is None and package == firsts[position] and position > 0:
            touched.setdefault(position - 1, {})
    return touched


def _apply(blocks: dict[str, Block], changes: Mapping[str, Block | None]) -> None:
    for package, block in changes.items():
        if block is None:
            blocks.pop(package, None)
        else:
            blocks[package] = block


def count_stanzas(text: bytes) -> tuple[int, int]:
    """How many stanzas `text` has, and how many of them are of architecture `all`."""
    return text.count(_STANZA_END), text.count(b"\nArchitecture: all\n")


def total_packages(indices: Iterable[Sequence[Shard]]) -> int:
    """Binary packages in the indices of all architectures; those of architecture `all` are in each and count once."""
    counts = [
        (sum(shard.stanzas - shard.stanzas_of_all for shard in shards), sum(shard.stanzas_of_all for shard in shards))
        for shards in indices
    ]
    return sum(native for native, _ in counts) + max((alls for _, alls in counts), default=0)
