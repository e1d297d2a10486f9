"""`gather`, in two ways: resolved against the archives as they are, or exactly as a lock file says."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from deb_bootc_compose.archives.archive import TARGETS, Archive, Targets
from deb_bootc_compose.archives.debs import DebCache
from deb_bootc_compose.archives.lists import Lists, Reading, scratch_directory
from deb_bootc_compose.archives.reading import reading_of
from deb_bootc_compose.archives.writing import PlacedDeb, write_repository
from deb_bootc_compose.build.phase import built_archive
from deb_bootc_compose.digests import JsonObject, digest_of, digest_of_file
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.gather import locked, origins, wanted
from deb_bootc_compose.gather.lock import LOCK_FILE, PACKAGES_FILE, SOURCES_FILE, Lock, LockedPackage, read_lock
from deb_bootc_compose.gather.resolving import Question, Resolved, repositories, resolve
from deb_bootc_compose.gather.source_index import sources_of
from deb_bootc_compose.gather.wanted import BUILT_WINS
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import GatherFacts

REPOSITORY = "repository"
_DECIDING = frozenset(
    {
        "suite",
        "components",
        "mirror",
        "snapshot",
        "check_valid_until",
        "keyrings",
        "repositories",
        "packages",
        "exclude_packages",
        "recommends",
        "preferences",
        "repo_packages",
        "foreign_architectures",
        "kernel",
        "no_initramfs",
        "container",
    }
)
"""Keys of a treefile on which the packages depend."""


class GatherPhase(BarePhase):
    """Packages by name become packages by digest."""

    name = "gather"
    after = ("init", "build")

    def deliverables(self, result: PhaseResult) -> Mapping[str, Path]:
        """What says which packages are in the tree, beside its images."""
        return {name: result.directory / name for name in (LOCK_FILE, PACKAGES_FILE, SOURCES_FILE)}

    async def inputs(self, work: PhaseWork) -> JsonObject:
        """The package keys, the built packages, and the archives' Release files or the lock file."""
        treefile = work.treefile
        decided: JsonObject = {
            "treefile": treefile.model_dump(mode="json", include=set(_DECIDING)),
            "requests": list(wanted.requests(treefile)),
            "built": built.digest if (built := work.results.get("build")) else None,
            "lock": None,
            "archives": None,
        }
        path = locked.lock_path(work.request, work.target)
        if path is not None:
            decided["lock"] = await asyncio.to_thread(digest_of_file, path)
        if not (path and work.request.lockfile_strict):
            work.progress.step("looking whether the archives have changed")
            reading = await _reading(work)
            keys = await asyncio.to_thread(_keys_digest, reading.archives)
            decided["archives"] = [reading.digest, await Lists(work.state).releases(reading), keys]
        return decided

    async def run(self, work: PhaseWork) -> JsonObject:
        """Resolve, download, write."""
        with failures_are(FailureClass.RESOLVE):
            path = locked.lock_path(work.request, work.target)
            reading = await _reading(work)
            debs = DebCache(work.state, reading.proxies)
            if path is not None and work.request.lockfile_strict:
                lock = await asyncio.to_thread(read_lock, path)
                locked.check(lock, work.treefile)
                uris: dict[str, str] = {}
            else:
                lock, uris = await _resolved(work, reading, path)
            await debs.have(locked.wanted_debs(lock, reading.archives, uris), work.progress)
            await _write(work, lock, debs)
        return GatherFacts(
            lock_sha256=lock.digest,
            package_count=len(lock.packages),
            download_bytes=sum(package.size_bytes for package in lock.packages),
            installed_kib=sum(package.installed_kib for package in lock.packages),
        ).model_dump(mode="json")


async def _reading(work: PhaseWork) -> Reading:
    built = built_archive(work.results.get("build"))
    targets = cast("Targets | None", work.services.get(TARGETS))
    return await reading_of(work.treefile, targets, *((built,) if built else ()))


async def _resolved(work: PhaseWork, reading: Reading, path: Path | None) -> tuple[Lock, dict[str, str]]:
    """The lock of what apt says now, near the lock file at `path` if there is one; and where to fetch it."""
    treefile = work.treefile
    lists = Lists(work.state)
    work.progress.step("reading the archives")
    directory = await lists.read(reading, await lists.releases(reading), work.progress.log)
    pins = locked.pins(await asyncio.to_thread(read_lock, path)) if path else ()
    question = Question(
        reading,
        directory,
        wanted.requests(treefile),
        (*pins, *wanted.preferences(treefile), *origins.pins(treefile, reading.archives), BUILT_WINS),
        treefile.exclude_packages,
        recommends=treefile.recommends,
    )
    work.progress.step("resolving the packages")
    async with scratch_directory(work.state.scratch, "resolve") as place:
        resolved = await resolve(question, place, work.progress.log)
    origins.check(treefile, resolved.packages)
    return await asyncio.to_thread(_lock, work, reading, resolved), resolved.uris


def _lock(work: PhaseWork, reading: Reading, resolved: Resolved) -> Lock:
    treefile = work.treefile
    return Lock(
        suite=treefile.suite,
        architecture=treefile.architecture,
        foreign_architectures=treefile.foreign_architectures,
        repositories=repositories(reading.archives, resolved.packages),
        packages=resolved.packages,
        sources=sources_of(resolved.packages, resolved.source_indices),
    )


async def _write(work: PhaseWork, lock: Lock, debs: DebCache) -> None:
    work.progress.step("laying out the packages", 0, len(lock.packages))
    await asyncio.to_thread(lock.write, work.directory)
    placed = [_placed(package, debs) for package in lock.packages]
    await write_repository(placed, work.directory / REPOSITORY, work.state.controls, work.epoch)


def _placed(package: LockedPackage, debs: DebCache) -> PlacedDeb:
    return PlacedDeb(debs.path(package.sha256), package.file_name, package.sha256, package.size_bytes)


def _keys_digest(archives: Iterable[Archive]) -> str:
    """Whoever replaces a keyring wants to see what it changes."""
    return digest_of(
        [
            archive.signed_by
            if isinstance(archive.signed_by, str)
            else [digest_of_file(path) for path in archive.signed_by]
            for archive in archives
        ]
    )
