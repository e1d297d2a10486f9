"""What `deb-mock build` shows of one source or several, while they are built and at the end."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import typer
from rich.console import Console

from deb_mock.builds.report import stages_as_dicts
from deb_mock.chains.chain import Outcome
from deb_mock.cli.finish import described, plain, show_error
from deb_mock.cli.plugin_options import show_checks
from deb_mock.cli.progress import Progress, stage_table
from deb_mock.failures import exit_code
from deborch_shared.errors import DeborchError
from deborch_shared.sources import SourceDescription

_MADE_READY_LOG = "deb-mock-sources.log"


class ChainReports:
    """Stages of each source. What is told while sources are made ready is kept if that fails."""

    def __init__(self, directory: Path, *, verbose: bool, count: int) -> None:
        self._directory = directory
        self._verbose = verbose
        self._count = count
        self._number = 0
        self._progress: Progress | None = None

    @contextmanager
    def watch(self, source: SourceDescription | None, result_dir: Path) -> Iterator[Progress]:
        """Around one source; None: around making all of them ready."""
        if source is None:
            with _kept_if_it_fails(self._directory / _MADE_READY_LOG, verbose=self._verbose) as progress:
                yield progress
            return
        self._number += 1
        if self._count > 1:
            heading = f"{source.name} {source.version} ({self._number} of {self._count})"
            Console(stderr=True).print(heading, style="bold", highlight=False)
        result_dir.parent.mkdir(parents=True, exist_ok=True)
        with Progress(verbose=self._verbose) as self._progress:
            yield self._progress

    def quiet(self) -> AbstractContextManager[None]:
        """The screen is somebody else's meanwhile."""
        return nullcontext() if self._progress is None else self._progress.quiet()


class _LoggedProgress(Progress):
    """Progress whose log goes to a file as well. A .dsc is ready by itself, and of it nothing is told."""

    def __init__(self, log: BinaryIO, *, verbose: bool) -> None:
        super().__init__(verbose=verbose)
        self._log = log

    def on_log(self, chunk: bytes) -> None:
        if not self._log.tell():
            self.say("making the source package ready")
        self._log.write(chunk)
        super().on_log(chunk)


@contextmanager
def _kept_if_it_fails(path: Path, *, verbose: bool) -> Iterator[Progress]:
    with TemporaryFile() as log, _LoggedProgress(log, verbose=verbose) as progress:
        try:
            yield progress
        except DeborchError as error:
            if log.tell():
                log.seek(0)
                path.write_bytes(log.read())
                error.fields["log"] = str(path)
            raise


def show(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """The results of all; for several also what became of each, and the exit code of the first that failed."""
    failed = [one for one in outcomes if one.error is not None]
    if as_json:
        shown: Any = asdict(outcomes[0].result) if len(outcomes) == 1 and outcomes[0].result else _listed(outcomes)
        print(json.dumps(shown, default=plain))  # noqa: T201
    else:
        _print(outcomes)
    if failed and failed[0].error is not None:
        raise typer.Exit(exit_code(failed[0].error))


def _listed(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "sources": [
            {
                "argument": one.argument,
                "source": one.name,
                "version": one.version,
                "state": one.state,
                "result": asdict(one.result) if one.result else None,
                "error": described(one.error) if one.error else None,
            }
            for one in outcomes
        ]
    }


def _print(outcomes: Sequence[Outcome]) -> None:
    console = Console()
    for one in outcomes:
        if len(outcomes) > 1:
            console.print(f"{one.name} {one.version}: {one.state}", highlight=False, soft_wrap=True)
        if one.result is not None:
            Console(stderr=True).print(stage_table(stages_as_dicts(one.result.stages)))
        if one.error is not None:
            show_error(one.error)
        for artifact in one.result.artifacts if one.result else ():
            console.print(str(artifact.path), highlight=False, soft_wrap=True)
        show_checks(one.result.checks if one.result else ())
