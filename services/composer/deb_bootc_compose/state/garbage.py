"""What can go: old composes, finished phases that no compose needs, cached files; never what runs or is kept.

All of it but composes can be made or fetched again. Others that keep something in the state directory, such as
refs in the work repository, remove theirs as a `Collector`, told what stays.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.state.caches import CachedItem, cached_items
from deb_bootc_compose.state.compose_directory import ComposeDirectory, all_composes
from deb_bootc_compose.state.inventory import ListedCompose, take_inventory
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.manifest import size_of
from deb_bootc_compose.state.records import RecordStore
from deb_bootc_compose.state.trees import remove_abandoned, remove_tree, staging

_DAY_S = 86_400.0
_JUST_USED_S = 900.0
"""Between finding something and holding it, a compose does not hold it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to stay."""

    keep_composes: int = 5
    """Of each name, newest first; finished and not."""
    max_age_days: float = 30.0
    """Composes, finished phases and cached files not used for longer go."""
    max_size_bytes: int | None = None
    """Of finished phases and cached files together: the longest unused go first."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that is gone, or would be."""

    kind: str
    name: str
    size_bytes: int
    """That are free then: what a compose shares with a record counts with the record."""
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays, for collectors of others."""

    composes: frozenset[str]
    facts: tuple[tuple[str, JsonObject], ...]
    """Phase and facts of every record that stays: what they name, such as a commit, has to stay too."""


class Collector(Protocol):
    """Removes what others keep in the state directory."""

    async def collect(self, kept: Kept, *, dry_run: bool) -> Sequence[Removed]:
        """Remove what nothing in `kept` needs."""


class Garbage:
    """Applies limits to one state directory. Composes may run meanwhile."""

    def __init__(self, state: State, limits: Limits, *, dry_run: bool = False) -> None:
        self._state = state
        self._limits = limits
        self._dry_run = dry_run
        self._store = RecordStore(state)
        self._now_s = time.time()

    async def collect(self, collectors: Iterable[Collector] = ()) -> list[Removed]:
        """Remove what the limits do not keep; what is gone."""
        removed = await self._composes()
        gone = {item.name for item in removed}
        cached = await asyncio.to_thread(lambda: list(cached_items(self._state)))
        records = {record: await asyncio.to_thread(self._store.size_bytes, *record) for record in self._store.all()}
        used_bytes = sum(records.values()) + sum(item.size_bytes for item in cached)
        of_records = await self._records(gone, records, used_bytes)
        removed += of_records
        kept = await asyncio.to_thread(self._kept, gone, {item.name for item in of_records})
        for collector in collectors:
            removed += await collector.collect(kept, dry_run=self._dry_run)
        # after the collectors, which may need the tools
        removed += await self._files(cached, used_bytes - sum(item.size_bytes for item in of_records))
        if not self._dry_run:
            removed += [
                Removed("scratch", name, 0, "its owner is dead") for name in await remove_abandoned(self._state)
            ]
        return removed

    async def _composes(self) -> list[Removed]:
        found = await asyncio.to_thread(take_inventory, self._state)
        removed = []
        for compose in found:
            why = self._why_not(compose, [other for other in found if other.name == compose.name])
            if why is None:
                continue
            size_bytes = await asyncio.to_thread(size_of, self._state.composes / compose.compose_id)
            if self._dry_run or await self._remove_compose(compose.compose_id):
                removed.append(Removed("compose", compose.compose_id, size_bytes, why))
        return removed

    def _why_not(self, compose: ListedCompose, of_its_name: Sequence[ListedCompose]) -> str | None:
        if compose.is_running or compose.is_kept or compose.latest_of is not None:
            return None
        newer = len(of_its_name) - 1 - of_its_name.index(compose)
        if newer >= self._limits.keep_composes:
            return f"{newer} newer ones of its name are there"
        age_s = self._now_s - compose.began_at.timestamp() if compose.began_at else 0.0
        return "too old" if age_s > self._max_age_s else None

    async def _remove_compose(self, compose_id: str) -> bool:
        compose = ComposeDirectory(self._state, compose_id)
        with compose.running() as ours:
            if not ours or compose.is_kept:
                return False
            async with staging(self._state, "discarded") as bin_:
                compose.path.rename(bin_ / compose_id)
            compose.lock.unlink(missing_ok=True)
            return True

    async def _records(self, gone: set[str], sizes: Mapping[tuple[str, str], int], used_bytes: int) -> list[Removed]:
        needed = await asyncio.to_thread(self._needed, gone)
        ages = {record: self._store.used_at_s(*record) for record in sizes if record not in needed}
        removed = []
        for record in sorted(ages, key=ages.__getitem__):
            why = self._why_not_used(ages[record], used_bytes)
            if why is not None and (self._dry_run or await self._store.remove(*record, unless=self._is_needed(record))):
                removed.append(Removed("phase", "/".join(record), sizes[record], why))
                used_bytes -= sizes[record]
        return removed

    async def _files(self, cached: Sequence[CachedItem], used_bytes: int) -> list[Removed]:
        """A compose that runs does not hold what it has just found in a cache, so what is fresh stays meanwhile."""
        removed: list[Removed] = []
        running = any(compose.is_running for compose in all_composes(self._state))
        for item in sorted(cached, key=lambda item: item.used_at_s):
            why = self._why_not_used(item.used_at_s, used_bytes)
            if why is None or (running and self._now_s - item.used_at_s < _JUST_USED_S):
                continue
            if not self._dry_run:
                await remove_tree(item.path)
            removed.append(Removed(item.kind, item.path.name, item.size_bytes, why))
            used_bytes -= item.size_bytes
        return removed

    @property
    def _max_age_s(self) -> float:
        return self._limits.max_age_days * _DAY_S

    def _why_not_used(self, used_at_s: float, used_bytes: int) -> str | None:
        if self._now_s - used_at_s > self._max_age_s:
            return "unused for too long"
        limit_bytes = self._limits.max_size_bytes
        return "more is there than the limit" if limit_bytes is not None and used_bytes > limit_bytes else None

    def _is_needed(self, record: tuple[str, str]) -> Callable[[], bool]:
        """To be asked when nobody can begin to use it any more."""
        return lambda: record in self._needed(set())

    def _needed(self, gone: set[str]) -> set[tuple[str, str]]:
        composes = [compose for compose in all_composes(self._state) if compose.compose_id not in gone]
        return {record for compose in composes for record in compose.uses()}

    def _kept(self, gone: set[str], records_gone: set[str]) -> Kept:
        composes = frozenset(compose.compose_id for compose in all_composes(self._state)) - gone
        staying = [record for record in self._store.all() if "/".join(record) not in records_gone]
        found = [(phase, self._store.facts(phase, digest)) for phase, digest in staying]
        return Kept(composes, tuple((phase, facts) for phase, facts in found if facts is not None))
