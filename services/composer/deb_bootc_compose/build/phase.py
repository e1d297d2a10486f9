"""`build`: has the treefile's source packages built, and lays the binary packages out as an APT repository."""

import asyncio
import os
from pathlib import Path
from typing import cast

from deb_bootc_compose.archives.archive import BUILT, Archive
from deb_bootc_compose.archives.debs import digest_of_content
from deb_bootc_compose.archives.writing import KEY_FILE, PlacedDeb, write_repository
from deb_bootc_compose.build.command import CommandBuilds
from deb_bootc_compose.build.port import BUILDS, BuildOrder, Builds
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure, failures_are
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import BuildFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode

REPOSITORY = "repository"


class BuildPhase(BarePhase):
    """Sources become packages that `gather` can take."""

    name = "build"
    after = ("init",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return treefile is not None and bool(treefile.sources or treefile.build.lagging)

    async def inputs(self, work: PhaseWork) -> JsonObject:
        """What whoever builds says of the sources."""
        with failures_are(FailureClass.BUILD):
            return {"sources": await _builds(work).identify(_order(work))}

    async def run(self, work: PhaseWork) -> JsonObject:
        """Build, and keep the .debs."""
        with failures_are(FailureClass.BUILD):
            results = work.directory / "results"
            await asyncio.to_thread(results.mkdir)
            await _builds(work).build(_order(work), results, work.progress)
            placed = await asyncio.to_thread(_taken, results, work.treefile)
            if placed:
                await write_repository(placed, work.directory / REPOSITORY, work.state.controls, work.epoch)
        return BuildFacts(packages={deb.file_name: deb.sha256 for deb in placed}).model_dump(mode="json")


def built_archive(result: PhaseResult | None) -> Archive | None:
    """The repository of what was built, if anything was."""
    repository = result.directory / REPOSITORY if result else None
    if repository is None or not repository.is_dir():
        return None
    return Archive(BUILT, f"file:{repository}", ("./",), (), (repository / KEY_FILE,))


def _order(work: PhaseWork) -> BuildOrder:
    return BuildOrder(work.treefile, work.compose_id)


def _builds(work: PhaseWork) -> Builds:
    builds = cast("Builds | None", work.services.get(BUILDS))
    return builds if builds is not None else CommandBuilds(work.state)


def _taken(results: Path, treefile: ResolvedTreefile) -> list[PlacedDeb]:
    """The .debs among the results that this architecture can have; links are not followed."""
    entries = [entry for entry in os.scandir(results) if entry.name.endswith(".deb")]
    links = [entry.name for entry in entries if not entry.is_file(follow_symlinks=False)]
    if links:
        raise failure(
            FailureClass.BUILD,
            ErrorCode.UNSAFE_PATH,
            f"{links[0]} among the results of the build is no plain file",
            hint="a build may leave only files",
        )
    usable = ("all", treefile.architecture, *treefile.foreign_architectures)
    names = sorted(entry.name for entry in entries if entry.name.endswith(tuple(f"_{name}.deb" for name in usable)))
    return [
        PlacedDeb(path, path.name, digest_of_content(path), path.stat().st_size)
        for path in (results / name for name in names)
    ]
