"""What is on disk for each sandbox, so that the next start can remove what a killed owner left.

A record is written before the first directory that it names is made, and removed after the last of them is gone.
So a directory without a record never exists, and cleaning up twice does no harm. Mounts need no record: they
live in the keeper's mount namespace and end with it.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deborch_shared import process
from deborch_shared.cancellation import to_the_end
from deborch_shared.sandbox.cgroups.group import remove_groups

_SUFFIX = ".sandbox.json"
_KEEPER_ENDS_WITHIN_S = 10.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The identity of a process that runs now.

        Raises:
            ProcessLookupError: there is none.
        """
        return cls(pid, _started_ticks(pid), boot_id())

    def is_alive(self) -> bool:
        try:
            return self == ProcessIdentity.of(self.pid)
        except ProcessLookupError:
            return False


@dataclass(frozen=True, slots=True)
class Record:
    """One sandbox on disk."""

    name: str
    owner: ProcessIdentity
    keeper: ProcessIdentity | None
    paths: tuple[str, ...]
    """Everything to remove once the owner is dead."""
    groups: tuple[str, ...] = ()
    """Its control groups, removed with whatever still runs in them."""

    def write(self, state_dir: Path, *, durable: bool = False) -> None:
        """`durable`: on disk when this returns, which can take long where much is written."""
        temporary = state_dir / f".{self.name}.{os.getpid()}.new"
        with temporary.open("w") as target:
            target.write(json.dumps(asdict(self)))
            if durable:
                target.flush()
                os.fsync(target.fileno())
        temporary.rename(record_path(state_dir, self.name))
        if durable:
            _sync_directory(state_dir)

    async def write_durably(self, state_dir: Path) -> None:
        """In a thread. A cancel waits for it: nothing writes the record after `remove`."""
        await to_the_end(asyncio.to_thread(self.write, state_dir, durable=True))

    @classmethod
    def read(cls, path: Path) -> "Record":
        """The record in `path`. One that cannot be read, as a power cut leaves it, has no owner any more."""
        try:
            content = json.loads(path.read_text())
            keeper = content["keeper"]
            return cls(
                _name_of(path),
                ProcessIdentity(**content["owner"]),
                ProcessIdentity(**keeper) if keeper else None,
                tuple(content["paths"]),
                tuple(content.get("groups", ())),
            )
        except (ValueError, KeyError, TypeError):
            return cls(_name_of(path), _NOBODY, None, _usual_paths(path))


_NOBODY = ProcessIdentity(pid=0, started_ticks=0, boot_id="")


def _name_of(record: Path) -> str:
    return record.name.removesuffix(_SUFFIX)


def _usual_paths(record: Path) -> tuple[str, ...]:
    """The directory of a sandbox has the name of its record."""
    name = _name_of(record)
    return () if name in {"", ".", ".."} else (str(record.with_name(name)),)


def records(state_dir: Path) -> list[Record]:
    """Every sandbox recorded in `state_dir`, of owners dead or alive."""
    found = []
    for path in sorted(state_dir.glob(f"*{_SUFFIX}")):
        with suppress(FileNotFoundError):
            found.append(Record.read(path))
    return found


def claim(state_dir: Path, name: str, paths: Iterable[Path], groups: Iterable[Path] = ()) -> Record:
    """Record that this process owns `paths` and control groups. To be called before they are made."""
    state_dir.mkdir(parents=True, exist_ok=True)
    owner = ProcessIdentity.of(os.getpid())
    entry = Record(name, owner, None, tuple(map(str, paths)), tuple(map(str, groups)))
    entry.write(state_dir)
    return entry


@asynccontextmanager
async def owned(state_dir: Path, name: str, paths: Iterable[Path]) -> AsyncIterator[None]:
    """Own `paths` meanwhile; they are removed at the end, or by `recover` if this process is killed."""
    entry = claim(state_dir, name, paths)
    try:
        await entry.write_durably(state_dir)
        yield
    finally:
        await remove(state_dir, entry)


async def remove(state_dir: Path, record: Record) -> None:
    """End the keeper and what is in its groups, remove the directories, then the record. Can be repeated.

    A cancel waits for the end of it: `recover` passes over what is left of a living owner.
    """
    await to_the_end(_remove(state_dir, record))


async def _remove(state_dir: Path, record: Record) -> None:
    if record.keeper is not None:
        await _end(record.keeper)
    await remove_groups(Path(path) for path in record.groups)
    await remove_trees(Path(path) for path in record.paths)
    record_path(state_dir, record.name).unlink(missing_ok=True)


async def remove_trees(paths: Iterable[Path]) -> None:
    """Remove whole trees, of any depth, never crossing into another file system."""
    await process.run(["rm", "-rf", "--one-file-system", "--", *map(str, paths)])


async def recover(state_dir: Path) -> list[Record]:
    """Remove everything that belongs to dead owners; return what was removed. Safe beside living owners."""
    _remove_half_written(state_dir)
    abandoned = [record for record in records(state_dir) if not record.owner.is_alive()]
    for record in abandoned:
        await remove(state_dir, record)
    return abandoned


def _remove_half_written(state_dir: Path) -> None:
    for path in state_dir.glob(".*.new"):
        writer = path.name.split(".")[-2]
        if not Path(f"/proc/{writer}").exists():
            path.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _end(keeper: ProcessIdentity) -> None:
    with suppress(ProcessLookupError):
        if keeper.is_alive():
            os.kill(keeper.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_KEEPER_ENDS_WITHIN_S):
            while keeper.is_alive():  # noqa: ASYNC110 - another process's child: there is nothing to wait on
                await asyncio.sleep(_POLL_S)


def record_path(state_dir: Path, name: str) -> Path:
    """The file of a record; its time is when the sandbox began to run."""
    return state_dir / f"{name}{_SUFFIX}"


def _started_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat, proc(5). A zombie counts as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])


def boot_id() -> str:
    """A new one with each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
