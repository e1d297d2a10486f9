"""What is there now: bases, layers, downloads, and buildroots with their owners. Read from disk and /proc each time, so
that it is true whatever died."""

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deb_mock.bases.store import BaseStore
from deb_mock.buildroots.named import NamedBuildroots
from deb_mock.caches.garbage import GarbageCollector
from deb_mock.engine_config import EngineConfig
from deb_mock.host.tree_sizes import tree_size_bytes
from deb_mock.layers.debs import DebCache
from deb_mock.model import Base, NamedBuildroot
from deborch_shared.sandbox.record import Record, record_path, records


class BuildrootState(StrEnum):
    """Of a recorded buildroot."""

    STARTING = "starting"
    RUNNING = "running"
    ABANDONED = "abandoned"
    """Its owner is dead; `deb-mock clean`, and the next build, remove what it left."""


@dataclass(frozen=True, slots=True)
class CachedBase:
    """A base and what goes with it."""

    base: Base
    used_at_s: float
    in_use: bool
    layers: int
    newest: bool
    """Of its recipe."""


@dataclass(frozen=True, slots=True)
class CachedLayer:
    """A dependency layer."""

    tree: str
    digest: str
    packages: int
    below: int
    size_bytes: int
    made_at_s: float
    used_at_s: float


@dataclass(frozen=True, slots=True)
class LivingBuildroot:
    """A buildroot that some process has, or had when it was killed."""

    name: str
    state: BuildrootState
    pid: int
    keeper_pid: int | None
    age_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class KeptBuildroot:
    """A buildroot of `deb-mock init`."""

    buildroot: NamedBuildroot
    in_use: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of it."""

    bases: tuple[CachedBase, ...]
    layers: tuple[CachedLayer, ...]
    buildroots: tuple[LivingBuildroot, ...]
    kept: tuple[KeptBuildroot, ...]
    downloads: int
    downloads_bytes: int
    free_bytes: int


def take_inventory(
    config: EngineConfig, bases: BaseStore, garbage: GarbageCollector, named: NamedBuildroots
) -> Inventory:
    """Look at everything."""
    layers = _layers(garbage)
    known = bases.all()
    newest = {base.recipe: base.name for base in known}
    downloads = [path.stat().st_size for path in DebCache(config.debs_dir, config.sandboxes_dir).all()]
    disk = os.statvfs(_existing(config.cache_dir))
    return Inventory(
        bases=tuple(
            CachedBase(
                base=base,
                used_at_s=bases.used_at_s(base),
                in_use=bases.is_in_use(base),
                layers=sum(layer.tree == (base.tree or base.name) for layer in layers),
                newest=newest[base.recipe] == base.name,
            )
            for base in known
        ),
        layers=layers,
        buildroots=tuple(
            _buildroot(config.sandboxes_dir, entry)
            for entry in records(config.sandboxes_dir)
            if _is_buildroot(config.sandboxes_dir, entry)
        ),
        kept=tuple(KeptBuildroot(one, named.is_in_use(one.name)) for one in named.all()),
        downloads=len(downloads),
        downloads_bytes=sum(downloads),
        free_bytes=disk.f_bavail * disk.f_frsize,
    )


def _layers(garbage: GarbageCollector) -> tuple[CachedLayer, ...]:
    return tuple(
        CachedLayer(
            tree=store.directory.parent.name,
            digest=marker.digest,
            packages=len(marker.files),
            below=len(marker.parents),
            size_bytes=marker.size_bytes,
            made_at_s=marker.made_at_s,
            used_at_s=store.used_at_s(marker.digest),
        )
        for store in garbage.stores()
        for marker in store.markers()
    )


def _is_buildroot(state_dir: Path, entry: Record) -> bool:
    """Other records own plain directories: results, downloads, scratch files."""
    directory = state_dir / entry.name
    return str(directory) in entry.paths and (entry.keeper is not None or (directory / "keeper.log").exists())


def _buildroot(state_dir: Path, entry: Record) -> LivingBuildroot:
    state = BuildrootState.ABANDONED
    if entry.owner.is_alive():
        running = entry.keeper is not None and entry.keeper.is_alive()
        state = BuildrootState.RUNNING if running else BuildrootState.STARTING
    try:
        since_s = record_path(state_dir, entry.name).stat().st_mtime
    except FileNotFoundError:
        since_s = time.time()
    keeper_pid = entry.keeper.pid if entry.keeper else None
    return LivingBuildroot(
        name=entry.name,
        state=state,
        pid=entry.owner.pid,
        keeper_pid=keeper_pid,
        age_s=max(0.0, time.time() - since_s),
        size_bytes=_size_bytes(state_dir / entry.name / "scratch", keeper_pid),
    )


def _size_bytes(scratch: Path, keeper_pid: int | None) -> int:
    """A tmpfs is only to be seen through its keeper's mount namespace; what is on disk is counted there."""
    try:
        inside = os.statvfs(f"/proc/{keeper_pid}/root{scratch}")
        if inside.f_fsid != os.statvfs(scratch).f_fsid:
            return (inside.f_blocks - inside.f_bfree) * inside.f_frsize
    except OSError:
        pass
    return tree_size_bytes(scratch)


def _existing(directory: Path) -> Path:
    while not directory.exists():
        directory = directory.parent
    return directory
