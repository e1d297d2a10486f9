"""What of the cache can go: by age, by size, by what the disk has left; never what is in use.

Everything here can be made or fetched again. Last uses are the times of markers, use locks and .debs.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from deb_mock import locks
from deb_mock.base import BaseStore
from deb_mock.base_index import tree_size_bytes
from deb_mock.debs import DebCache
from deb_mock.layers import LayerStore
from deb_mock.model import Base, CacheKind, EngineConfig, LogSink
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
    remove: Callable[[], Awaitable[bool]]


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
        removed = [found async for found in self._remove_old()]
        await self._remove_traces()
        used_bytes = sum(item.size_bytes for item in self._items()) if self._config.cache_max_bytes else 0
        while (why := self._over_limit(used_bytes)) is not None:
            found = await self._remove_longest_unused(why)
            if found is None:
                break
            used_bytes -= found.size_bytes
            removed.append(found)
        return removed

    async def scrub(self, kind: CacheKind, suite: str | None = None) -> list[Removed]:
        """Remove all of a kind that no build uses, of `suite` or of all; layers go before those that they stand on."""
        removed = []
        while True:
            found = (*self._items(), *self._directories())
            items = [item for item in found if item.kind is kind and self._is_of(item, suite)]
            gone = [item for item in items if await item.remove()]
            removed += [Removed(item.kind, item.name, item.size_bytes, "scrubbed") for item in gone]
            if not gone or kind is not CacheKind.LAYER:
                return removed

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

    async def _remove_old(self) -> AsyncIterator[Removed]:
        oldest_s = time.time() - self._config.unused_max_age_s
        for item in list(self._items()):
            if item.used_at_s < oldest_s and await item.remove():
                yield Removed(item.kind, item.name, item.size_bytes, "unused for too long")

    async def _remove_longest_unused(self, why: str) -> Removed | None:
        latest_s = time.time() - _JUST_USED_S
        for item in sorted(self._items(), key=lambda item: item.used_at_s):
            if item.used_at_s < latest_s and await item.remove():
                return Removed(item.kind, item.name, item.size_bytes, why)
        return None

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
        """All that could be removed now: layers on which no other stands, and what is not the newest of its kind."""
        for store in self.stores():
            markers = list(store.markers())
            needed = {parent for marker in markers for parent in marker.parents}
            for marker in markers:
                if marker.digest not in needed:
                    name = f"{store.directory.parent.name}/{marker.digest}"
                    used_at_s = store.used_at_s(marker.digest)
                    yield _Item(
                        CacheKind.LAYER, name, marker.size_bytes, used_at_s, _layer_remover(store, marker.digest)
                    )
        for base in self._bases.all():
            used_at_s = self._bases.used_at_s(base)
            yield _Item(CacheKind.BASE, base.name, base.size_bytes, used_at_s, _base_remover(self._bases, base))
        yield from self._bootstraps()
        for path in DebCache(self._config.debs_dir, self._config.sandboxes_dir).all():
            with suppress(FileNotFoundError):
                found = path.stat()
                yield _Item(CacheKind.DEB, path.stem, found.st_size, found.st_mtime, _file_remover(path))

    def _is_of(self, item: _Item, suite: str | None) -> bool:
        if suite is None:
            return True
        if item.kind not in (CacheKind.BASE, CacheKind.LAYER):
            return False
        wanted = {base.name: base.suite for base in self._bases.all()}
        wanted |= {base.tree: base.suite for base in self._bases.all()}
        return wanted.get(item.name.partition("/")[0]) == suite

    def _directories(self) -> Iterator[_Item]:
        """Caches that others fill: sources by name, and what compilers keep."""
        for kind in (CacheKind.SOURCES, CacheKind.CCACHE):
            for path in sorted((self._config.cache_dir / kind.value).glob("[!.]*")):
                if kind is CacheKind.SOURCES or path.is_dir():
                    yield _Item(kind, path.name, tree_size_bytes(path), path.stat().st_mtime, _tree_remover(path))

    def _bootstraps(self) -> Iterator[_Item]:
        for path in sorted(self._config.bootstraps_dir.glob("[!.]*")):
            with suppress(FileNotFoundError):
                lock = self._config.bases_dir / f"{path.name.rpartition('-')[0]}.lock"
                remove = _tree_remover(path, lock)
                yield _Item(CacheKind.BOOTSTRAP, path.name, tree_size_bytes(path), path.stat().st_mtime, remove)

    async def _remove_traces(self) -> None:
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


def _layer_of(answer: Path) -> str | None:
    try:
        return str(json.loads(answer.read_text())["layer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _layer_remover(store: LayerStore, digest: str) -> Callable[[], Awaitable[bool]]:
    return lambda: store.remove(digest)


def _base_remover(bases: BaseStore, base: Base) -> Callable[[], Awaitable[bool]]:
    return lambda: bases.remove(base)


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
