"""Finished phases: what each left, under the digest of what it was made from. A half-made one is never seen.

A phase works in a staging directory. When it is done, everything in it is made durable, the record is written last,
and one rename puts both in place. Whoever uses a record holds its lock together with others for as long as the
compose runs; whoever makes, replaces or removes one holds it alone.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.manifest import difference, manifest_of, size_of, sync_tree
from deb_bootc_compose.state.trees import staging
from deb_bootc_compose.state.whole_files import read_json, sync, write_json
from deborch_shared import locks
from deborch_shared.cancellation import to_the_end
from deborch_shared.errors import DeborchError, ErrorCode

_FORMAT = 1
_FILES = "files"
_RECORD = "record.json"
_POLL_S = 0.1
_IN_USE_S = 60.0
"""How long to wait for users of a record that has to be made again."""


@dataclass(frozen=True, slots=True)
class Record:
    """One finished phase on disk."""

    phase: str
    inputs_digest: str
    facts: JsonObject
    inputs: JsonObject
    """What the digest is of, to tell why another one is not the same."""
    directory: Path
    """What the phase left. Nobody writes there."""
    seconds: float
    compose_id: str
    """Of the compose that made it."""


Make = Callable[[Path], Awaitable[JsonObject]]
"""Fills an empty directory and returns the facts."""
Usable = Callable[[Record], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A finished phase that is to be had, made or found."""

    phase: str
    inputs: JsonObject
    inputs_digest: str
    compose_id: str
    make: Make
    usable: Usable
    fresh: Callable[[], bool] = lambda: False
    """Whether it has to be made even if it is there."""
    on_wait: Callable[[str], None] = lambda _: None
    """Told once for what it has to wait."""


class RecordStore:
    """Of one state directory. Any number of processes may use it at once."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def obtain(self, wanted: Wanted, users: ExitStack) -> tuple[Record, bool]:
        """The record, and whether it was there already. It cannot be removed or replaced until `users` is closed.

        Raises:
            DeborchError: CONFLICT if it has to be made again while others use the old one; whatever `make` raises.
        """
        in_use_s, made, told = 0.0, False, False
        while True:
            record = await self._use(wanted, users, made=made)
            if record is not None:
                return record, not made
            with locks.exclusive_if_free(self._lock(wanted.phase, wanted.inputs_digest)) as alone:
                if alone:
                    if wanted.fresh() or await self._whole(wanted) is None:
                        await self._make(wanted)
                        made = True
                    continue
            if not told:
                wanted.on_wait("waiting for another compose that runs or uses the same phase")
                told = True
            in_use_s = in_use_s + _POLL_S if self._only_used(wanted) else 0.0
            if in_use_s > _IN_USE_S:
                raise _in_use(wanted)
            await asyncio.sleep(_POLL_S)

    def find(self, phase: str, inputs_digest: str) -> Record | None:
        """The record, if it is there and whole. Reads all small files of it."""
        directory = self._directory(phase, inputs_digest)
        content = read_json(directory / _RECORD)
        try:
            if content is None or content["format"] != _FORMAT:
                return None
            if (content["phase"], content["inputs_digest"]) != (phase, inputs_digest):
                return None
            if difference(directory / _FILES, content["manifest"]) is not None:
                return None
            return _record(content, directory)
        except (OSError, LookupError, TypeError):
            return None

    def facts(self, phase: str, inputs_digest: str) -> JsonObject | None:
        """What the record says, whether all it left is whole or not."""
        content = read_json(self._directory(phase, inputs_digest) / _RECORD)
        facts = content.get("facts") if content else None
        return facts if isinstance(facts, dict) else None

    def all(self) -> Iterator[tuple[str, str]]:
        """Phase and digest of everything that is there, whole or not."""
        for directory in sorted(self._state.records.glob("*/*")):
            yield directory.parent.name, directory.name

    def size_bytes(self, phase: str, inputs_digest: str) -> int:
        """What removing it would free, about."""
        return size_of(self._directory(phase, inputs_digest))

    def used_at_s(self, phase: str, inputs_digest: str) -> float:
        """When it was made or last used; 0 if it is not whole."""
        try:
            return (self._directory(phase, inputs_digest) / _RECORD).stat().st_mtime
        except OSError:
            return 0.0

    async def remove(self, phase: str, inputs_digest: str, *, unless: Callable[[], bool] = lambda: False) -> bool:
        """Remove it unless somebody uses it, or `unless` says so once nobody can begin to; tells whether."""
        lock = self._lock(phase, inputs_digest)
        with locks.exclusive_if_free(lock) as alone:
            if not alone or unless():
                return False
            await self._discard(self._directory(phase, inputs_digest))
            lock.unlink(missing_ok=True)
            return True

    async def _use(self, wanted: Wanted, users: ExitStack, *, made: bool) -> Record | None:
        if wanted.fresh() and not made:
            return None
        with ExitStack() as mine:
            if not mine.enter_context(locks.shared_at_once(self._lock(wanted.phase, wanted.inputs_digest))):
                return None
            record = await (self._just_made(wanted) if made else self._whole(wanted))
            if record is not None:
                users.push(mine.pop_all())
            return record

    async def _just_made(self, wanted: Wanted) -> Record | None:
        directory = self._directory(wanted.phase, wanted.inputs_digest)
        content = await asyncio.to_thread(read_json, directory / _RECORD)
        return None if content is None else _record(content, directory)

    async def _whole(self, wanted: Wanted) -> Record | None:
        record = await asyncio.to_thread(self.find, wanted.phase, wanted.inputs_digest)
        if record is None or not await wanted.usable(record):
            return None
        os.utime(record.directory.parent / _RECORD)
        return record

    async def _make(self, wanted: Wanted) -> None:
        began_s = time.monotonic()
        async with staging(self._state, wanted.phase) as directory:
            files = directory / _FILES
            files.mkdir(mode=0o755)
            facts = await wanted.make(files)
            content = {
                "format": _FORMAT,
                "phase": wanted.phase,
                "inputs_digest": wanted.inputs_digest,
                "inputs": wanted.inputs,
                "facts": facts,
                "compose_id": wanted.compose_id,
                "seconds": round(time.monotonic() - began_s, 3),
            }
            await to_the_end(asyncio.to_thread(_seal, directory, content))
            target = self._directory(wanted.phase, wanted.inputs_digest)
            await self._discard(target)
            directory.rename(target)
            await asyncio.to_thread(sync, target.parent)

    async def _discard(self, directory: Path) -> None:
        async with staging(self._state, "discarded") as bin_:
            await asyncio.to_thread(_move_away, directory, bin_)

    def _only_used(self, wanted: Wanted) -> bool:
        with locks.shared_at_once(self._lock(wanted.phase, wanted.inputs_digest)) as shared:
            return shared

    def _directory(self, phase: str, inputs_digest: str) -> Path:
        return self._state.records / phase / inputs_digest

    def _lock(self, phase: str, inputs_digest: str) -> Path:
        return self._state.locks / "phases" / f"{phase}.{inputs_digest}.lock"


def _move_away(directory: Path, bin_: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        directory.rename(bin_ / directory.name)


def _seal(directory: Path, content: JsonObject) -> None:
    sync_tree(directory)
    write_json(directory / _RECORD, content | {"manifest": manifest_of(directory / _FILES)})


def _record(content: JsonObject, directory: Path) -> Record:
    return Record(
        content["phase"],
        content["inputs_digest"],
        content["facts"],
        content["inputs"],
        directory / _FILES,
        content["seconds"],
        content["compose_id"],
    )


def _in_use(wanted: Wanted) -> DeborchError:
    return failure(
        FailureClass.HOST,
        ErrorCode.CONFLICT,
        f"what the phase {wanted.phase} left has to be made again, but another compose uses it",
        hint="try again, without --force, when that compose is done: `deb-bootc-compose list` shows it",
    )
