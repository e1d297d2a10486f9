"""The trials of one plug-in, in the order of what they need: first its files, then its class, then builds."""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deb_mock.certification.leftovers import Footprint
from deb_mock.certification.trial_source import make_source
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig, PluginSetting
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BuildRequest, BuildResult
from deb_mock.plugins import catalogue
from deb_mock.plugins.api import ENTRY_POINT_GROUP, Plugin
from deborch_shared.errors import DeborchError, ErrorCode

_ENDS_WITHIN_S = 5.0
_STARTS_WITHIN_S = 600.0
_MARK = "DEB_MOCK_TRIAL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one trial."""

    trial: str
    passed: bool
    said: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plug-in in a project directory."""

    name: str
    place: str
    """As in its entry point."""
    import_path: Path


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which the trials are made."""

    config: EngineConfig
    suite: str
    architecture: str
    options: dict[str, Any]
    may_add_s: float
    """Time that the plug-in may add to a build."""


def read_candidate(project: Path) -> Candidate:
    """The plug-in that `project`/pyproject.toml declares.

    Raises:
        DeborchError: INVALID_INPUT if it declares none, or several.
    """
    try:
        content = tomllib.loads((project / "pyproject.toml").read_text())
        entries = dict(content["project"]["entry-points"][ENTRY_POINT_GROUP])
        ((name, place),) = entries.items()
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"{project} is no project of one plug-in: {type(error).__name__}: {error}",
            hint=f'its pyproject.toml needs one entry in [project.entry-points."{ENTRY_POINT_GROUP}"]',
        ) from error
    source = project / "src"
    return Candidate(str(name), str(place), source if source.is_dir() else project)


async def certify(candidate: Candidate, terms: Terms, on_finding: Callable[[Finding], None]) -> bool:
    """Make every trial; whether all were passed. Builds are tried only if the class fits."""
    passed = True
    with _importable(candidate), catalogue.offered({candidate.name: candidate.place}):
        for finding in _static_trials(candidate, terms):
            on_finding(finding)
            passed = passed and finding.passed
        if passed:
            async for finding in _trials_in_builds(candidate, terms):
                on_finding(finding)
                passed = passed and finding.passed
    return passed


@contextmanager
def _importable(candidate: Candidate) -> Iterator[None]:
    sys.path.insert(0, str(candidate.import_path))
    try:
        yield
    finally:
        sys.path.remove(str(candidate.import_path))


def _static_trials(candidate: Candidate, terms: Terms) -> Iterator[Finding]:
    try:
        plugin = catalogue.load(candidate.name)
    except DeborchError as error:
        yield Finding("loads, and fits this version of the interface", False, f"{error.message} ({error.hint})")
        return
    hooks = ", ".join(catalogue.hook_names(plugin)) or "none"
    yield Finding(
        "loads, and fits this version of the interface", True, f"version {plugin.api_version}; hooks: {hooks}"
    )
    yield Finding("does something", bool(catalogue.hook_names(plugin)), f"{len(catalogue.hook_names(plugin))} hooks")
    yield _documented(plugin)
    yield _strict(plugin)
    try:
        catalogue.check_options(candidate.name, plugin, terms.options)
    except DeborchError as error:
        yield Finding("takes its options", False, f"{error.message}; give what it needs by --option KEY=VALUE")
        return
    yield Finding("takes its options", True, ", ".join(terms.options) or "the defaults")


def _documented(plugin: type[Plugin]) -> Finding:
    fields = plugin.options_model.model_fields
    silent = [name for name, field in fields.items() if not field.description]
    missing = [name for name in ("summary",) if not getattr(plugin, name, "")]
    problems = [*missing, *silent]
    said = f"no description of {', '.join(problems)}" if problems else f"{len(fields)} options, each described"
    return Finding("documents itself and its options", not problems, said)


def _strict(plugin: type[Plugin]) -> Finding:
    strict = plugin.options_model.model_config.get("extra") == "forbid"
    return Finding(
        "refuses unknown options", strict, "extra=forbid" if strict else "derive its options of PluginOptions"
    )


async def _trials_in_builds(candidate: Candidate, terms: Terms) -> AsyncIterator[Finding]:
    setting = PluginSetting(candidate.name, options=terms.options)
    with tempfile.TemporaryDirectory(prefix="deb-mock-trial-", dir=terms.config.state_dir.parent) as text:
        trials = _Builds(Path(text), terms)
        await trials.run("true", None)  # bases and layers are there from now on
        plain_s, plain = await trials.timed("true", None)
        await trials.run("true", setting)
        with_s, result = await trials.timed("true", setting)
        yield _unbroken(plain, result)
        added_s = with_s - plain_s
        yield Finding(
            "adds little time",
            added_s <= terms.may_add_s,
            f"{with_s:.2f} s, {added_s:+.2f} s against {plain_s:.2f} s without; {terms.may_add_s:g} s may be added",
        )
        yield trials.leftovers("leaves no files, processes or mounts after a build")
        yield await trials.failing(setting)
        yield trials.leftovers("leaves nothing after a build that fails")
        yield await trials.cancelled(setting)
        yield trials.leftovers("leaves nothing after a build that is cancelled")


def _unbroken(plain: BuildResult, result: BuildResult) -> Finding:
    trial = "does not break a build"
    lost = {each.name for each in plain.artifacts} - {each.name.removesuffix(".zst") for each in result.artifacts}
    lost = {name for name in lost if not name.endswith(".build")}
    if lost:
        return Finding(trial, False, f"these results are gone: {', '.join(sorted(lost))}")
    before, after = ({each.name: each.sha256 for each in found.artifacts} for found in (plain, result))
    other = [name for name in before if name.endswith(".deb") and before[name] != after[name]]
    changed = f", with another content of {', '.join(other)}" if other else ", packages bit for bit the same"
    added = sorted(after.keys() - before.keys())
    return Finding(trial, not other, f"adds {', '.join(added) or 'no files'}{changed}")


class _Builds:
    """Builds of the trial source in a directory of their own."""

    def __init__(self, directory: Path, terms: Terms) -> None:
        self._directory = directory
        self._terms = terms
        self._config = replace(terms.config, state_dir=directory / "state")
        self._config.state_dir.mkdir()
        mark = f"{_MARK}={secrets.token_hex(8)}"
        os.environ[_MARK] = mark.partition("=")[2]
        self._mark = mark
        self._before = Footprint.taken(self._config.state_dir, mark)

    async def timed(self, doing: str, setting: PluginSetting | None) -> tuple[float, BuildResult]:
        begun_s = time.monotonic()
        result = await self.run(doing, setting)
        return time.monotonic() - begun_s, result

    async def run(
        self, doing: str, setting: PluginSetting | None, on_log: Callable[[bytes], None] = lambda _: None
    ) -> BuildResult:
        request = await self._request(doing)
        async with self._engine(setting) as engine:
            return await engine.build(request, on_log=on_log)

    async def failing(self, setting: PluginSetting) -> Finding:
        trial = "leaves the failure of a build as it is"
        try:
            await self.run("exit 3", setting)
        except DeborchError as error:
            kind = error.fields.get("failure_class")
            return Finding(trial, kind == FailureClass.COMPILE, f"class {kind}: {error.message}")
        return Finding(trial, False, "a build that fails succeeded with it")

    async def cancelled(self, setting: PluginSetting) -> Finding:
        trial = "lets a build be cancelled"
        begun, log = asyncio.Event(), bytearray()

        def hear(chunk: bytes) -> None:
            log.extend(chunk)
            if b"trial begins" in log.replace(b"echo trial begins", b""):
                begun.set()

        task = asyncio.create_task(self.run("echo trial begins; sleep 600", setting, hear))
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait({task, waiting}, timeout=_STARTS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        asked_s = time.monotonic()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, DeborchError):
            await task
        took_s = time.monotonic() - asked_s
        passed = begun.is_set() and task.cancelled() and took_s < _ENDS_WITHIN_S
        return Finding(
            trial, passed, f"it ended within {took_s:.2f} s" if begun.is_set() else "it never came to its rules"
        )

    def leftovers(self, trial: str) -> Finding:
        left = Footprint.taken(self._config.state_dir, self._mark).since(self._before)
        return Finding(trial, not left, "; ".join(left[:10]) or "nothing is left")

    @asynccontextmanager
    async def _engine(self, setting: PluginSetting | None) -> AsyncIterator[Engine]:
        engine = Engine(replace(self._config, plugins=(setting,) if setting else ()))
        try:
            await engine.recover()
            yield engine
        finally:
            await engine.close()

    async def _request(self, doing: str) -> BuildRequest:
        place = self._directory / secrets.token_hex(4)
        place.mkdir()
        dsc = await make_source(place, doing)
        return BuildRequest(
            build_id=f"trial-{place.name}",
            dsc=dsc,
            source_dir=place,
            suite=self._terms.suite,
            architecture=self._terms.architecture,
            result_dir=place / "results",
        )
