"""Two builds of one source package in different surroundings, and what differs between their packages."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deb_mock.chains.ready_source import make_ready, read_description
from deb_mock.engine import Engine
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BuildRequest, BuildResult, LogSink, StageSink, Surroundings
from deb_mock.reproducibility.comparison import ComparedFile, compare, packages_of
from deb_mock.reproducibility.diffoscope import show_differences
from deb_mock.reproducibility.variations import FILE_ORDER, TOOLS, Chosen, Machine, choose
from deb_mock.sources.arguments import DscFile, SourceArgument
from deborch_shared.errors import DeborchError, ErrorCode

_DESCRIPTION = "check.json"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found."""

    source: str
    version: str
    is_reproducible: bool
    files: tuple[ComparedFile, ...]
    varied: tuple[tuple[str, str, str], ...]
    """Name, in the first build, in the second."""
    left_out: dict[str, str]
    """Variations that were not made, and why."""
    directory: Path
    page: Path | None
    """Of diffoscope, if packages differ."""
    note: str = ""
    """Why there is no page although packages differ."""

    def require_reproducible(self) -> None:
        """Do nothing if it is.

        Raises:
            DeborchError: BUILD_FAILED of class unreproducible, with all of this in its fields.
        """
        if not self.is_reproducible:
            raise unreproducible(self.files, self.note, asdict(self))


def unreproducible(files: Sequence[ComparedFile], note: str, fields: Mapping[str, object]) -> DeborchError:
    """The error for packages that differ, with `fields` for programs."""
    names = ", ".join(file.name for file in files if not file.is_same)
    hint = note or "the page of diffoscope shows where; --vary=-NAME takes one variation out, to find which matters"
    error = failure(FailureClass.UNREPRODUCIBLE, ErrorCode.BUILD_FAILED, f"the builds differ: {names}", hint=hint)
    error.fields |= {name: value for name, value in fields.items() if value is not None}
    return error


class ReproducibilityCheck:
    """Checks source packages."""

    def __init__(self, engine: Engine, *, in_memory: bool) -> None:
        self._engine = engine
        self._in_memory = in_memory

    async def run(
        self,
        request: BuildRequest,
        wish: str,
        source: SourceArgument | None = None,
        *,
        on_log: LogSink,
        on_stage: StageSink | None = None,
        on_build: Callable[[str], None] = lambda _: None,
    ) -> CheckResult:
        """Build `request` twice, into directories below its `result_dir`; `wish` is as in `variations.choose`.

        With `source`, that is made ready first, below the same directory, and the request's `dsc` does not count.

        Raises:
            DeborchError: what a build raises; ALREADY_EXISTS if the result directory has something in it.
        """
        if isinstance(source, DscFile):
            read_description(source.path)  # a wrong name leaves no directories behind
        directory = request.result_dir
        _make_free(directory)
        machine = await self._machine(request, on_log)
        chosen = choose(wish, machine)
        if source is not None:
            place = directory / "source"
            dsc = await make_ready(self._engine, source, request, place, clean=True, on_log=on_log)
            request = replace(request, dsc=dsc, source_dir=dsc.parent)
        on_build("first")
        first = await self._build(request, "first", request.surroundings, on_log, on_stage)
        on_build("second")
        try:
            second = await self._build(
                request, "second", chosen.applied(request.surroundings, machine), on_log, on_stage
            )
        except DeborchError as error:
            varied = ", ".join(variation.name for variation in chosen.variations)
            error.message = f"the first build succeeded, and the second, with other {varied}, did not: {error.message}"
            error.hint = f"{error.hint}; --vary=-NAME leaves a variation out that the package cannot be built with"
            raise
        if not first.in_memory:
            chosen = chosen.without(FILE_ORDER, "the first build had its files on disk too, for it needs much")
        result = await self._compared(request, chosen, first, second, on_log)
        (directory / _DESCRIPTION).write_text(json.dumps(asdict(result), indent=1, default=str) + "\n")
        return result

    async def _build(
        self, request: BuildRequest, name: str, around: Surroundings, on_log: LogSink, on_stage: StageSink | None
    ) -> BuildResult:
        directory, build_id = request.result_dir / name, f"{request.build_id}-{name}"
        one = replace(request, build_id=build_id, result_dir=directory, surroundings=around)
        return await self._engine.build(one, on_log=on_log, on_stage=on_stage)

    async def _machine(self, request: BuildRequest, on_log: LogSink) -> Machine:
        available = await self._engine.available(
            request.suite, request.architecture, TOOLS, components=request.components, on_log=on_log
        )
        return Machine(tuple(sorted(os.sched_getaffinity(0))), self._in_memory, available)

    async def _compared(
        self, request: BuildRequest, chosen: Chosen, first: BuildResult, second: BuildResult, on_log: LogSink
    ) -> CheckResult:
        files = compare(packages_of(first.artifacts), packages_of(second.artifacts))
        same = all(file.is_same for file in files)
        page, note = None, ""
        if not same:
            directories = (request.result_dir / "first", request.result_dir / "second")
            try:
                page = await show_differences(
                    self._engine, request, files, directories, request.result_dir / "differences", on_log
                )
            except DeborchError as error:
                note = f"diffoscope could not show them: {error.message}"
        return CheckResult(
            source=first.source,
            version=first.version,
            is_reproducible=same,
            files=files,
            varied=tuple((each.name, each.first, each.second) for each in chosen.variations),
            left_out=dict(chosen.left_out),
            directory=request.result_dir,
            page=page,
            note=note,
        )


def _make_free(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.ALREADY_EXISTS,
            f"the directory {directory} is not empty",
            hint="give a directory that does not exist yet, or remove it",
        )
