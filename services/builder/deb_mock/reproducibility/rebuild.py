"""The build that a .buildinfo describes, once more: the same versions, variables and path, and the hashes compared."""

import asyncio
import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from deb_mock.chains.ready_source import read_description
from deb_mock.engine import Engine
from deb_mock.failures import FailureClass, failure
from deb_mock.model import (
    MAIN_ONLY,
    BuildRequest,
    BuildResult,
    ExactSet,
    ExtraRepository,
    FetchRequest,
    LogSink,
    StageSink,
    Surroundings,
)
from deb_mock.reproducibility.binary_only import changed_version
from deb_mock.reproducibility.buildinfo import BuildInfo
from deb_mock.reproducibility.check import unreproducible
from deb_mock.reproducibility.comparison import ComparedFile, compare, packages_of
from deb_mock.reproducibility.diffoscope import show_differences
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.versions import without_epoch

_DESCRIPTION = "rebuild.json"
_SNAPSHOT = """\
Types: deb
URIs: {uri}
Suites: {suite}
Components: {components}
Check-Valid-Until: no
Signed-By: {keyring}
"""


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """One rebuild."""

    rebuild_id: str
    info: BuildInfo
    near: Path
    """The directory of the .buildinfo: the source, and the packages to compare with, may be there."""
    dsc: Path | None
    """None: beside the .buildinfo, or from the suite."""
    suite: str
    result_dir: Path
    failed_dir: Path
    merge_results: bool = False
    """As of a build."""
    repositories: tuple[ExtraRepository, ...] = ()
    or_nearest: bool = False
    components: tuple[str, ...] = MAIN_ONLY
    timeout_s: float = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """What came out."""

    source: str
    version: str
    is_reproducible: bool
    files: tuple[ComparedFile, ...]
    """First: what the .buildinfo says; second: what was built now."""
    missing_versions: tuple[str, ...]
    """Packages of the .buildinfo of which another version was taken."""
    also_installed: tuple[str, ...]
    """Packages that were in the buildroot, and that the .buildinfo does not name."""
    directory: Path
    page: Path | None
    note: str = ""

    def require_reproducible(self) -> None:
        """Do nothing if all hashes agree.

        Raises:
            DeborchError: BUILD_FAILED of class unreproducible, with all of this in its fields.
        """
        if not self.is_reproducible:
            raise unreproducible(self.files, self.note, asdict(self))


def snapshot_repository(
    url: str, info: BuildInfo, suite: str, components: tuple[str, ...], keyring: Path
) -> ExtraRepository:
    """The archive as it was when `info` was written: `{timestamp}` in `url` becomes its date.

    Raises:
        DeborchError: INVALID_SOURCE if the .buildinfo has no date.
    """
    try:
        date = parsedate_to_datetime(info.build_date).astimezone(UTC)
    except ValueError as error:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_SOURCE,
            "the .buildinfo has no Build-Date, so there is no time to take a snapshot of",
            hint="give an archive that has the versions by --extra-repository",
        ) from error
    uri = url.replace("{timestamp}", f"{date:%Y%m%dT%H%M%SZ}")
    text = _SNAPSHOT.format(uri=uri, suite=suite, components=" ".join(components), keyring=keyring)
    return ExtraRepository("snapshot", text)


class Rebuilds:
    """Builds again what a .buildinfo describes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(
        self, request: RebuildRequest, *, on_log: LogSink, on_stage: StageSink | None = None
    ) -> RebuildResult:
        """Build, compare, and say what differs.

        Raises:
            DeborchError: what a build raises; DEPENDENCY_WAIT with `missing` if versions cannot be had.
        """
        info = request.info
        dsc = request.dsc or await self._source(request, on_log)
        _check_source(dsc, info)
        result = await self._engine.build(_build_request(request, dsc), on_log=on_log, on_stage=on_stage)
        return await self._compared(request, result, on_log)

    async def _source(self, request: RebuildRequest, on_log: LogSink) -> Path:
        info = request.info
        name = f"{info.source}_{without_epoch(info.source_version)}.dsc"
        fetched = request.result_dir.with_name(f"{request.result_dir.name}_source")
        for place in (request.near, fetched) if request.merge_results else (request.near,):
            if (place / name).exists():
                return place / name
        fetch = FetchRequest(
            fetch_id=f"{request.rebuild_id}-source",
            name=info.source,
            version=info.source_version,
            suite=request.suite,
            architecture=info.architecture,
            result_dir=fetched,
            components=request.components,
        )
        return (await self._engine.fetch_source(fetch, on_log=on_log)).dsc

    async def _compared(self, request: RebuildRequest, result: BuildResult, on_log: LogSink) -> RebuildResult:
        info = request.info
        files = compare(info.checksums, packages_of(result.artifacts))
        same = all(file.is_same for file in files)
        page, note = None, ""
        if not same:
            page, note = await self._differences(request, files, on_log)
        named = {package.name for package in info.installed}
        compared = RebuildResult(
            source=result.source,
            version=info.version,
            is_reproducible=same,
            files=files,
            missing_versions=result.missing_versions,
            also_installed=tuple(str(each) for each in result.installed if each.name not in named),
            directory=request.result_dir,
            page=page,
            note=note,
        )
        text = json.dumps(asdict(compared), indent=1, default=str) + "\n"
        (request.result_dir / _DESCRIPTION).write_text(text)
        return compared

    async def _differences(
        self, request: RebuildRequest, files: tuple[ComparedFile, ...], on_log: LogSink
    ) -> tuple[Path | None, str]:
        there = [file for file in files if (request.near / file.name).is_file()]
        if not any(not file.is_same and file.second_sha256 for file in there):
            return None, "put the packages of the .buildinfo beside it, and diffoscope shows what differs"
        target = request.result_dir / "differences"
        if request.merge_results:
            await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
        directories = (request.near, request.result_dir)
        build = _build_request(request, request.dsc or request.near)
        try:
            return await show_differences(self._engine, build, there, directories, target, on_log), ""
        except DeborchError as error:
            return None, f"diffoscope could not show the differences: {error.message}"


def _build_request(request: RebuildRequest, dsc: Path) -> BuildRequest:
    info = request.info
    return BuildRequest(
        build_id=request.rebuild_id,
        dsc=dsc,
        source_dir=dsc.parent,
        suite=request.suite,
        architecture=info.architecture,
        result_dir=request.result_dir,
        failed_dir=request.failed_dir,
        merge_results=request.merge_results,
        mode=info.mode,
        extra_sources=request.repositories,
        parallel=info.parallel,
        timeout_s=request.timeout_s,
        profiles=info.profiles,
        changed_version=changed_version(info),
        components=request.components,
        exact=ExactSet(info.installed, request.or_nearest),
        surroundings=Surroundings(build_path=info.build_path, environment=info.environment),
    )


def _check_source(dsc: Path, info: BuildInfo) -> None:
    description = read_description(dsc)
    if (description.name, description.version) != (info.source, info.source_version):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_SOURCE,
            f"{dsc.name} is {description.name} {description.version}, and the .buildinfo is of {info.source} "
            f"{info.source_version}",
            hint="give the .dsc that the .buildinfo was made from by --source",
        )
