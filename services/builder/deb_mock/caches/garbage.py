"""What of the cache can go: by age, by size, by what the disk has left; never what is in use.

Everything here can be made or fetched again. Last uses are the times of markers, use locks and .debs.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from deb_mock.bases.store import BaseStore
from deb_mock.engine_config import EngineConfig
from deb_mock.host.tree_sizes import tree_size_bytes
from deb_mock.layers.debs import DebCache
from deb_mock.layers.store import LayerStore
from deb_mock.model import Base, CacheKind, LogSink
from deborch_shared import locks
from deborch_shared.sandbox.record import remove_trees

_STAMP = ".garbage-collected"
_INTERVAL_S = 600.0
_JUST_USED_S = 900.0
"""Between finding a layer or base and holding it, a build does not hold it."""
_HALF_WRITTEN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that was removed from the cache."""

    kind: CacheKind
    name: str
    size_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing that could be removed."""

    kind: CacheKind
    name: str
    size_bytes: int
    used_at_s: float
    """Never before what stands on it."""
    remove: Callable[[], Awaitable[bool]]
    suite: str = ""
    above: frozenset[str] = frozenset()
    """Names of the layers that stand on it, which have to go first."""


class GarbageCollector:
    """Applies the limits of the configuration."""

    def __init__(self, config: EngineConfig, bases: BaseStore) -> None:
        self._config = config
        self._bases = bases

    async def collect_if_due(self, on_log: LogSink) -> None:
        """`collect`, if the last time is a while ago or the disk is nearly full; otherwise it costs next to nothing."""
        stamp = self._config.cache_dir / _STAMP
        if self._free_bytes() >= self._config.free_space_floor_bytes and _age_s(stamp) < _INTERVAL_S:
            return
        with locks.exclusive_if_free(stamp) as free:
            if free:
                os.utime(stamp)
                for removed in await self.collect():
                    on_log(f"deb-mock: {removed.kind} {removed.name} removed from the cache: {removed.why}\n".encode())

    async def collect(self) -> list[Removed]:
        """Remove what is too old, then the longest unused until sizes are within the limits."""
        now_s = time.time()
        oldest_s, latest_s = now_s - self._config.unused_max_age_s, now_s - _JUST_USED_S
        items = await asyncio.to_thread(lambda: list(self._items()))
        used_bytes = sum(item.size_bytes for item in items)

        def why(item: _Item) -> str | None:
            if item.used_at_s < oldest_s:
                return "unused for too long"
            return self._over_limit(used_bytes) if item.used_at_s < latest_s else None

        removed: list[Removed] = []
        async for gone in _remove(items, why):
            used_bytes -= gone.size_bytes
            removed.append(gone)
        await asyncio.to_thread(self._remove_traces)
        return removed

    async def scrub(self, kind: CacheKind, suite: str | None = None) -> list[Removed]:
        """Remove all of a kind that no build uses, of `suite` or of all; layers go before those that they stand on."""
        items = await asyncio.to_thread(lambda: [*self._items(), *self._directories()])
        wanted = [item for item in items if item.kind is kind and suite in (None, item.suite)]
        return [gone async for gone in _remove(wanted, lambda _: "scrubbed")]

    def stores(self) -> Iterator[LayerStore]:
        """Every directory of layers."""
        for directory in sorted(self._config.layers_dir.glob("*/*")):
            if directory.is_dir():
                yield LayerStore(directory)

    async def recover(self) -> tuple[str, ...]:
        """Remove layers that their makers left half made, and all that stand on trees that are gone."""
        removed: list[str] = []
        bases = self._bases.all()
        trees = {base.tree or base.name for base in bases}
        ours = {base.tree for base in bases if base.recipe}
        for directory in sorted(self._config.layers_dir.glob("*")):
            with locks.exclusive_if_free(self._config.bases_dir / f"{directory.name}.use") as free:
                if free and directory.name not in trees and not (self._config.bases_dir / directory.name).exists():
                    await remove_trees((directory,))
                    (self._config.bases_dir / f"{directory.name}.use").unlink(missing_ok=True)
        for store in self.stores():
            if store.directory.parent.name in ours:
                removed += await store.recover()
        return tuple(removed)

    def _over_limit(self, used_bytes: int) -> str | None:
        if self._free_bytes() < self._config.free_space_floor_bytes:
            return "the disk is nearly full"
        limit_bytes = self._config.cache_max_bytes
        return "the cache is larger than its limit" if limit_bytes is not None and used_bytes > limit_bytes else None

    def _free_bytes(self) -> int:
        self._config.cache_dir.mkdir(parents=True, exist_ok=True)
        found = os.statvfs(self._config.cache_dir)
        return found.f_bavail * found.f_frsize

    def _items(self) -> Iterator[_Item]:
        """All that could be removed, whether in use or not. It reads sizes from the disk, so it takes a while."""
        bases = self._bases.all()
        suites = {base.name: base.suite for base in bases} | {base.tree: base.suite for base in bases}
        for store in self.stores():
            tree = store.directory.parent.name
            yield from _layers(store, tree, suites.get(tree, ""))
        for base in bases:
            used_at_s = self._bases.used_at_s(base)
            remove = _base_remover(self._bases, base, used_at_s)
            yield _Item(CacheKind.BASE, base.name, base.size_bytes, used_at_s, remove, base.suite)
        yield from self._bootstraps()
        for path in DebCache(self._config.debs_dir, self._config.sandboxes_dir).all():
            with suppress(FileNotFoundError):
                found = path.stat()
                yield _Item(CacheKind.DEB, path.stem, found.st_size, found.st_mtime, _file_remover(path))

    def _directories(self) -> Iterator[_Item]:
        """Caches that others fill: sources by name, and what compilers keep."""
        cache_dir = self._config.cache_dir
        for kind, directory in ((CacheKind.SOURCES, "sources"), (CacheKind.CCACHE, "plugins/ccache")):
            for path in sorted((cache_dir / directory).glob("[!.]*")):
                if kind is CacheKind.SOURCES or path.is_dir():
                    yield _Item(kind, path.name, tree_size_bytes(path), path.stat().st_mtime, _tree_remover(path))

    def _bootstraps(self) -> Iterator[_Item]:
        for path in sorted(self._config.bootstraps_dir.glob("[!.]*")):
            with suppress(FileNotFoundError):
                lock = self._config.bases_dir / f"{path.name.rpartition('-')[0]}.lock"
                remove = _tree_remover(path, lock)
                yield _Item(CacheKind.BOOTSTRAP, path.name, tree_size_bytes(path), path.stat().st_mtime, remove)

    def _remove_traces(self) -> None:
        """Answers that name layers that are gone, and files whose writers died before they were whole."""
        for store in self.stores():
            for path in store.directory.glob("*.answer"):
                layer = _layer_of(path)
                if layer is None or (layer and not (store.directory / layer).exists()):
                    path.unlink(missing_ok=True)
        recipes = {base.recipe for base in self._bases.all()}
        for path in self._config.bases_dir.glob("*.release"):
            if path.stem.rpartition("-")[2] not in recipes:
                path.unlink(missing_ok=True)
        for pattern in ("*", "layers/*/*", "debs/*"):
            for path in self._config.cache_dir.glob(f"{pattern}/.*.????????"):
                if path.is_file() and _age_s(path) > _HALF_WRITTEN_S:
                    path.unlink(missing_ok=True)


async def _remove(items: Iterable[_Item], why: Callable[[_Item], str | None]) -> AsyncIterator[Removed]:
    """Remove the longest unused first, those for which `why` has an answer, but nothing on which a layer stands."""
    gone: set[str] = set()
    for item in sorted(items, key=lambda item: (item.used_at_s, len(item.above))):
        reason = why(item) if item.above <= gone else None
        if reason is not None and await item.remove():
            gone.add(item.name)
            yield Removed(item.kind, item.name, item.size_bytes, reason)


def _layers(store: LayerStore, tree: str, suite: str) -> Iterator[_Item]:
    markers = list(store.markers())
    used_at_s = {marker.digest: store.used_at_s(marker.digest) for marker in markers}
    for marker in markers:
        above = [other.digest for other in markers if marker.digest in other.parents]
        last_s = max(used_at_s[digest] for digest in (marker.digest, *above))
        names = frozenset(f"{tree}/{digest}" for digest in above)
        remove = _layer_remover(store, marker.digest, last_s)
        yield _Item(CacheKind.LAYER, f"{tree}/{marker.digest}", marker.size_bytes, last_s, remove, suite, names)


def _layer_of(answer: Path) -> str | None:
    try:
        return str(json.loads(answer.read_text())["layer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _layer_remover(store: LayerStore, digest: str, used_at_s: float) -> Callable[[], Awaitable[bool]]:
    async def remove() -> bool:
        """Not if it was used since it was looked at."""
        return store.used_at_s(digest) <= used_at_s and await store.remove(digest)

    return remove


def _base_remover(bases: BaseStore, base: Base, used_at_s: float) -> Callable[[], Awaitable[bool]]:
    async def remove() -> bool:
        """Not if it was used since it was looked at."""
        return bases.used_at_s(base) <= used_at_s and await bases.remove(base)

    return remove


def _file_remover(path: Path) -> Callable[[], Awaitable[bool]]:
    async def remove() -> bool:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True

    return remove


def _tree_remover(path: Path, lock: Path | None = None) -> Callable[[], Awaitable[bool]]:
    async def remove() -> bool:
        with locks.exclusive_if_free(lock) if lock else nullcontext(True) as free:
            if free:
                await remove_trees((path,))
            return free

    return remove


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
