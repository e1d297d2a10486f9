"""Builds by the command `deb-mock`, for a compose with no hub."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.archives.configuration import sources_text
from deb_bootc_compose.archives.lists import Reading, scratch_directory
from deb_bootc_compose.archives.reading import reading_of
from deb_bootc_compose.build.port import BuildOrder
from deb_bootc_compose.build.sources import identified
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.state.layout import State
from deborch_shared import process
from deborch_shared.errors import ERRORS, DeborchError, ErrorCode, bounded

_COMMAND = "deb-mock"
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "DEB_MOCK_STATE_DIR", "DEB_MOCK_CACHE_DIR")
_BESIDE_BUILDING_S = 3600.0
"""What making a base and fetching may take beside the time that a build has."""


class CommandBuilds:
    """The port `Builds`, stand-alone. Sources are built in the order of their needs; later ones see earlier ones."""

    def __init__(self, state: State, command: Sequence[str] = ()) -> None:
        self._state = state
        self._command = tuple(command)

    async def identify(self, order: BuildOrder) -> JsonObject:
        """The .dsc of each source by its digest.

        Raises:
            DeborchError: as `identified`; INVALID_INPUT of class TREEFILE for what only a hub can do.
        """
        if order.treefile.build.lagging:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                "build: lagging asks a hub which sources are newer than their packages, and no hub is asked here",
                hint="have a hub compose it (deborch compose create), or list the sources",
            )
        reading = await reading_of(order.treefile.model_copy(update={"repositories": ()}), None)
        return await identified(tuple(order.sources), order.treefile.directory, reading, self._state)

    async def build(self, order: BuildOrder, results: Path, progress: Progress) -> None:
        """One run of deb-mock for all of them."""
        sources = await self.identify(order)
        reading = await reading_of(order.treefile, None)
        async with scratch_directory(self._state.scratch, "build") as place:
            argv = [*self._found(), "build", *self._arguments(order, sources), *await _options(order, reading, place)]
            progress.step(f"building {', '.join(sources)}")
            timeout_s = order.treefile.build.timeout_s * len(sources) + _BESIDE_BUILDING_S
            done = await process.run(
                [*argv, "--result-dir", str(place / "results")],
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(reading.proxies),
                on_output=progress.log,
                timeout_s=timeout_s,
                max_output_bytes=1 << 30,
                grace_s=30.0,
                check=False,
            )
            if done.returncode != 0:
                raise _failed(done.output)
            await asyncio.to_thread(_collect, place / "results", results)

    def _found(self) -> Sequence[str]:
        beside = Path(sys.executable).with_name(_COMMAND)
        found = shutil.which(_COMMAND) or (str(beside) if beside.exists() else None)
        if not self._command and found is None:
            raise failure(
                FailureClass.HOST,
                ErrorCode.INVALID_SETTING,
                "the treefile has sources to build, and the command deb-mock is not there",
                hint="install deb-orchestrator[builder], or take sources out of the treefile",
            )
        return self._command or (str(found),)

    def _arguments(self, order: BuildOrder, sources: JsonObject) -> list[str]:
        return [str((order.treefile.directory / one).absolute()) if one.endswith(".dsc") else one for one in sources]


async def _options(order: BuildOrder, reading: Reading, place: Path) -> list[str]:
    treefile = order.treefile
    options = ["--suite", treefile.suite, "--timeout", str(treefile.build.timeout_s), "--sort", "--verbose", "--json"]
    native = (await process.run(["dpkg", "--print-architecture"], timeout_s=30)).output.decode().strip()
    if treefile.architecture != native:
        options += ["--host", treefile.architecture]
    suite, own = reading.archives[0], [one for one in reading.archives if not one.name.startswith("suite")]
    if treefile.mirror is not None:
        options += ["--mirror", suite.uri]
    for number, archive in enumerate(own):
        options += ["--extra-repository", str(await asyncio.to_thread(_described, archive, place, number))]
    return options


def _described(archive: Archive, place: Path, number: int) -> Path:
    """A .sources file for deb-mock, which wants its own kind of names."""
    path = place / f"extra-{number}.sources"
    path.write_text(sources_text([archive]))
    path.chmod(0o600)
    return path


def _failed(output: bytes) -> DeborchError:
    """What deb-mock says of the failure, in its last line."""
    said = _last_object(output)
    message = str(said.get("message") or bounded(output[-800:]))
    code = next((one for one in ErrorCode if one == said.get("code")), ErrorCode.BUILD_FAILED)
    temporary = ERRORS[code].temporary
    return failure(
        FailureClass.FETCH if temporary else FailureClass.BUILD,
        code,
        f"deb-mock: {bounded(message)}",
        hint=str(said.get("hint") or "the log of this phase has what deb-mock said"),
    )


def _last_object(output: bytes) -> dict[str, Any]:
    """The JSON object at the end; for several sources, the error of the first that failed."""
    for line in reversed(output.splitlines()):
        if line.startswith(b"{"):
            try:
                said = orjson.loads(line)
            except orjson.JSONDecodeError:
                return {}
            failed = [one["error"] for one in said.get("sources", ()) if one.get("error")]
            return failed[0] if failed else dict(said)
    return {}


def _collect(made: Path, results: Path) -> None:
    """What is in the result directory of each source, in one."""
    for path in sorted(made.rglob("*")):
        if path.is_file() and not path.is_symlink():
            target = results / path.name
            if not target.exists():
                shutil.move(path, target)
