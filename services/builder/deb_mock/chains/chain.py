"""Several sources, one after the other, each with what the ones before made. One source is a chain of one."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from deb_mock.builds.failed_buildroot import OnFailed
from deb_mock.chains import build_sequence
from deb_mock.chains.ready_source import make_ready, read_description
from deb_mock.chains.repository import ChainRepository
from deb_mock.engine import Engine
from deb_mock.failures import FailureClass, failure
from deb_mock.model import (
    BuildRequest,
    BuildResult,
    CommandRequest,
    ExtraRepository,
    Stage,
)
from deb_mock.plans.build_plan import profiles_of
from deb_mock.sources.arguments import SourceArgument
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sources import SourceDescription

State = Literal["built", "failed", "skipped"]
_MAX_CONTROL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """How a chain goes."""

    sort: bool = False
    """By build dependencies, not as given."""
    keep_going: bool = False
    """After a failure, with the sources that do not need what failed."""
    clean: bool = True
    """Trees are cleaned before they become source packages."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source."""

    argument: str
    name: str
    version: str
    state: State
    result: BuildResult | None = None
    error: DeborchError | None = None


class Watcher(Protocol):
    """Who hears of the source under way."""

    def on_log(self, chunk: bytes, /) -> None: ...

    def on_stage(self, stage: Stage, elapsed_s: float, /) -> None: ...


Watch = Callable[[SourceDescription | None, Path], AbstractContextManager[Watcher]]
"""Entered for each source with its result directory; with None while sources are made ready."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A source package that is there."""

    argument: str
    dsc: Path
    description: SourceDescription


class Chain:
    """Builds `arguments` as `template` says; each result goes to the directory that `result_dir_of` names."""

    def __init__(
        self,
        engine: Engine,
        template: BuildRequest,
        options: ChainOptions,
        result_dir_of: Callable[[SourceDescription], Path],
        watch: Watch,
        on_failed: OnFailed | None = None,
    ) -> None:
        self._engine = engine
        self._template = template
        self._options = options
        self._result_dir_of = result_dir_of
        self._watch = watch
        self._on_failed = on_failed

    async def run(self, arguments: Sequence[tuple[str, SourceArgument]]) -> tuple[Outcome, ...]:
        """Build all, or up to the first failure; what was not tried is skipped.

        Raises:
            DeborchError: if a source is not there or no source package, before anything is built.
        """
        async with self._engine.scratch(self._template.build_id) as directory:
            with self._watch(None, directory) as watcher:
                ready = [await self._ready(*one, directory / str(n), watcher) for n, one in enumerate(arguments)]
            profiles = profiles_of(self._template)
            descriptions = [one.description for one in ready]
            order = build_sequence.in_order(descriptions, profiles) if self._options.sort else range(len(ready))
            needs = build_sequence.needs(descriptions, profiles)
            repository = ChainRepository(directory / "repository")
            outcomes: dict[int, Outcome] = {}
            for number in order:
                missed = [n for n in needs[number] if n in outcomes and outcomes[n].state != "built"]
                stopped = not self._options.keep_going and any(one.state != "built" for one in outcomes.values())
                if missed or stopped:
                    outcomes[number] = _skipped(ready[number], [descriptions[n].name for n in missed])
                else:
                    outcomes[number] = await self._build(number, ready[number], repository, alone=len(ready) == 1)
        return tuple(outcomes[number] for number in order)

    async def _ready(self, text: str, argument: SourceArgument, directory: Path, watcher: Watcher) -> _Ready:
        dsc = await make_ready(
            self._engine, argument, self._template, directory, clean=self._options.clean, on_log=watcher.on_log
        )
        return _Ready(text, dsc, read_description(dsc))

    async def _build(self, number: int, source: _Ready, repository: ChainRepository, *, alone: bool) -> Outcome:
        result_dir = self._result_dir_of(source.description)
        request = replace(
            self._template,
            build_id=f"{self._template.build_id}-{number}",
            dsc=source.dsc,
            source_dir=source.dsc.parent,
            result_dir=result_dir,
            failed_dir=result_dir.with_name(f"{result_dir.name}_failed"),
            extra_sources=(*self._template.extra_sources, *repository.repositories),
        )
        try:
            with self._watch(source.description, result_dir) as watcher:
                result = await self._engine.build(
                    request, on_log=watcher.on_log, on_stage=watcher.on_stage, on_failed=self._on_failed
                )
                if not alone:
                    await repository.add(result.artifacts, self._control_of)
        except DeborchError as error:
            return Outcome(source.argument, source.description.name, source.description.version, "failed", error=error)
        return Outcome(source.argument, result.source, result.version, "built", result=result)

    async def _control_of(self, package: Path) -> str:
        """Read in a sandbox: the package is foreign."""
        output = bytearray()
        request = CommandRequest(
            command_id=f"control-{secrets.token_hex(4)}",
            argv=("dpkg-deb", "-f", str(package)),
            suite=self._template.suite,
            architecture=self._template.architecture,
            extra_sources=(ExtraRepository("chain", f"URIs: file:{package.parent}\nSuites: ./\n"),),
            timeout_s=60,
        )
        returncode = await self._engine.run_command(request, on_output=output.extend, on_log=_ignore)
        if returncode != 0 or len(output) > _MAX_CONTROL_BYTES:
            raise failure(
                FailureClass.COMPILE,
                ErrorCode.BUILD_FAILED,
                f"{package.name} is no binary package that dpkg-deb can read",
                hint="the build made something else than a .deb under that name",
            )
        return output.decode("utf-8", "replace")


def _ignore(_: bytes) -> None:
    """The base is there by now, so there is nothing to tell."""


def _skipped(source: _Ready, missed: Sequence[str]) -> Outcome:
    because = f"it needs {', '.join(missed)}, which was not built" if missed else "an earlier source was not built"
    error = failure(
        FailureClass.DEPENDENCY_WAIT,
        ErrorCode.DEPENDENCY_WAIT,
        f"{source.description.name} was not tried: {because}",
        hint="mend what failed first" + ("" if missed else ", or give --keep-going"),
    )
    return Outcome(source.argument, source.description.name, source.description.version, "skipped", error=error)
