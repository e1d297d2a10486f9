"""Directories to work in that are nobody else's, and removing trees without following links."""

import asyncio
import errno
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_bootc_compose.state.layout import State
from deborch_shared import locks
from deborch_shared.cancellation import to_the_end

_UNLOCKED_S = 5.0


def staging_place(state: State) -> Path:
    """Where staging directories are; beside them others have scratch files of their own."""
    return staging_in(state.scratch)


def staging_in(scratch: Path) -> Path:
    """The same, of the scratch directory of a state."""
    return scratch / "staging"


@asynccontextmanager
async def staging(state: State, name: str) -> AsyncIterator[Path]:
    """A new directory in the scratch of `state`; gone at the end, unless it was renamed.

    It is locked meanwhile, so that `remove_abandoned` sees those whose owners were killed.
    """
    directory = staging_place(state) / f"{name}.{secrets.token_hex(6)}"
    directory.mkdir(parents=True, mode=0o700)
    try:
        with locks.directory_if_free(directory, alone=True):
            yield directory
    finally:
        await to_the_end(remove_tree(directory))


async def remove_tree(directory: Path) -> None:
    """Remove a directory and all in it, or a file, if it is there; refused if something is mounted in it."""
    await asyncio.to_thread(_remove_tree, directory)


def _remove_tree(directory: Path) -> None:
    if _mounted_below(directory):
        raise OSError(errno.EBUSY, "something is mounted in it: unmount it", str(directory))
    if directory.is_dir() and not directory.is_symlink():
        shutil.rmtree(directory)
    else:
        directory.unlink(missing_ok=True)


def _mounted_below(directory: Path) -> bool:
    prefix = f"{directory.resolve()}/"
    mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return any(line.split()[4].startswith(prefix) for line in mounts)


async def remove_abandoned(state: State) -> list[str]:
    """Remove staging directories that no living process holds; their names."""
    removed = []
    for directory in sorted(staging_place(state).glob("*")):
        if not directory.is_dir() or directory.is_symlink():
            continue
        with locks.directory_if_free(directory, alone=True) as free:
            if free and _is_old_enough(directory):
                await remove_tree(directory)
                removed.append(directory.name)
    return removed


def _is_old_enough(directory: Path) -> bool:
    """One that was made just now is about to be locked."""
    return directory.stat().st_mtime < time.time() - _UNLOCKED_S
