"""What the engine knows of plug-ins: one `Plugins` for an engine, one `BuildHooks` for a build.

A plug-in that is required ends the build when it fails; any other is named in the log and left out of the rest.
"""

import asyncio
import inspect
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy

from deb_mock.engine_config import EngineConfig
from deb_mock.model import Artifact, Base, BuildRequest, BuildResult, CheckResult, CommandRequest, LogSink, Stage
from deb_mock.plugins import checks
from deb_mock.plugins.api import Check, CheckReport, CheckRooms, Contribution, Hooks, Outcome, Plugin
from deb_mock.plugins.catalogue import Configured, configured, refused
from deb_mock.plugins.context import BuildFacts, CollectedResults, OpenBuildroot, PluginBuild
from deb_mock.plugins.contributions import Contributions
from deb_mock.results.directory import ResultDirectory
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox import record
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.spec import SandboxSpec
from deborch_shared.sources import SourceDescription
from deborch_shared.versions import without_epoch

_LAST_HOOK_TAKES_AT_MOST_S = 10.0
_AFTER_THE_NAME = re.compile(r"[\s(:|\[<]")
"""Of a package in a relation, deb-control(5)."""


class _Calls:
    """One instance of each enabled plug-in, and the calls of their hooks."""

    def __init__(self, plugins: Sequence[Configured], on_log: LogSink) -> None:
        self._on_log = on_log
        self._required = {each.name: each.required for each in plugins}
        self._manager = pluggy.PluginManager("deb_mock")
        self._manager.add_hookspecs(Hooks)
        for each in reversed(plugins):  # pluggy calls what was registered last first
            self._manager.register(each.new(), each.name)

    def implementations(self, hook: str) -> Iterator[tuple[Plugin, pluggy.HookImpl]]:
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            yield implementation.plugin, implementation

    async def each(self, hook: str, **arguments: object) -> None:
        """Call `hook` of every plug-in."""
        for plugin, _ in tuple(self.implementations(hook)):
            await self.one(plugin, hook, arguments)

    async def answer(self, plugin: Plugin, hook: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401
        """What `hook` of `plugin` answers.

        Raises:
            DeborchError: it failed; the error names it.
        """
        implementation = next(found for known, found in self.implementations(hook) if known is plugin)
        try:
            answer = implementation.function(*(arguments[name] for name in implementation.argnames))
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            raise _explained(plugin.name, hook, error) from error

    async def one(self, plugin: Plugin, hook: str, arguments: Mapping[str, object], *, forgiving: bool = False) -> Any:  # noqa: ANN401 - each hook has an answer of its own
        """What `hook` of `plugin` answers; None if it failed and is not required, or all is forgiven."""
        try:
            return await self.answer(plugin, hook, arguments)
        except DeborchError as error:
            if self._required[plugin.name] and not forgiving:
                raise
            self._leave_out(plugin, error)
            return None

    def _leave_out(self, plugin: Plugin, error: DeborchError) -> None:
        with suppress(DeborchError):  # the log may be full
            self._on_log(f"deb-mock: warning: {error.message}; it is left out of what follows\n".encode())
        if self._manager.is_registered(plugin):
            self._manager.unregister(plugin)


class BuildHooks:
    """The plug-ins in one build."""

    def __init__(self, calls: _Calls, facts: BuildFacts) -> None:
        self._calls = calls
        self._facts = facts
        self._contributions = Contributions()
        self.result: BuildResult | None = None
        """To be set when the build has succeeded."""

    async def before(self, stage: Stage, *, source: SourceDescription | None = None) -> None:
        """`stage` begins outside of the buildroot."""
        self._facts.source = source or self._facts.source
        await self._call(f"before_{stage.value}")

    async def base_ready(self, base: Base) -> BuildRequest:
        """The base is there: what the plug-ins add to the build is gathered; the request with it."""
        self._facts.base = base
        await self._call("after_base")
        for plugin, _ in tuple(self._calls.implementations("contribute")):
            answer = await self._calls.one(plugin, "contribute", {"build": self._build_for(plugin)})
            if isinstance(answer, Contribution):
                self._contributions.add(plugin.name, answer)
        self._facts.request = self._contributions.request(self._facts.request)
        return self._facts.request

    async def dependencies_ready(self) -> None:
        await self._call("after_dependencies")

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the packages that the plug-ins need, whatever version; of alternatives the first."""
        return tuple(
            re.split(r"[\s(:|\[<]", relation.strip(), maxsplit=1)[0] for relation in self._contributions.packages
        )

    @property
    def apt_settings(self) -> tuple[str, ...]:
        """Options for apt."""
        return tuple(self._contributions.apt_command(["apt-get"])[1:])

    @asynccontextmanager
    async def apt(self, argv: list[str]) -> AsyncIterator[list[str]]:
        """Around a command of apt; yields it with the settings of the plug-ins."""
        if argv[0] != "apt-get":
            yield argv
            return
        command = self._contributions.apt_command(argv)
        await self._call("before_apt", argv=tuple(command))
        yield command
        await self._call("after_apt", argv=tuple(command))

    def spec(self, spec: SandboxSpec) -> SandboxSpec:
        """The buildroot of the build, with what the plug-ins want in it."""
        return self._contributions.spec(spec)

    def build_command(self, argv: list[str]) -> list[str]:
        """dpkg-buildpackage's command line as the plug-ins wrap it."""
        return self._contributions.build_command(argv)

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """dpkg-buildpackage's environment; what the engine sets goes before what plug-ins want."""
        self._facts.build_environment = {**self._contributions.environment, **environment}
        return dict(self._facts.build_environment)

    @asynccontextmanager
    async def buildroot(self, sandbox: Sandbox, workspace: str) -> AsyncIterator["BuildrootHooks"]:
        """The hooks of the build's own buildroot while it is open."""
        opened = OpenBuildroot(sandbox, self._facts.steps, self._facts.config.proxies, workspace)
        await self._call("buildroot_opened", buildroot=opened)
        try:
            yield BuildrootHooks(self, opened)
        except Exception:
            await self._call("buildroot_closing", forgiving=True, buildroot=opened)
            raise
        await self._call("buildroot_closing", buildroot=opened)

    async def collected(self, directory: ResultDirectory, artifacts: Sequence[Artifact]) -> CollectedResults:
        results = CollectedResults(directory, artifacts)
        await self._call("results_collected", results=results)
        return results

    @property
    def has_checks(self) -> bool:
        return any(True for _ in self._calls.implementations("check"))

    async def checked(self, results: CollectedResults, rooms: CheckRooms) -> tuple[CheckResult, ...]:
        """Make every check, one after another."""
        made: list[CheckResult] = []
        for plugin, _ in tuple(self._calls.implementations("check")):
            if isinstance(plugin, Check) and (result := await self._check(plugin, results, rooms)) is not None:
                made.append(result)
        await self._call("checks_finished", results=results, checks=tuple(made))
        return tuple(made)

    async def log_closed(self, results: CollectedResults, log: Artifact) -> None:
        results.include(log)
        await self._call("process_log", results=results, log=log)

    async def _check(self, plugin: Check, results: CollectedResults, rooms: CheckRooms) -> CheckResult | None:
        begun_s = time.monotonic()
        build = self._build_for(plugin)
        build.say("checking")
        try:
            report = await self._calls.answer(plugin, "check", {"build": build, "results": results, "rooms": rooms})
        except DeborchError as error:
            result = checks.could_not_run(plugin, error, begun_s)
        else:
            if report is None:
                return None
            if not isinstance(report, CheckReport):
                raise refused(plugin.name, f"answered {type(report).__name__} to check", "it must be a CheckReport")
            result = checks.recorded(plugin, report, results, self._stem(), begun_s)
        build.say(f"{result.status.value}: {result.summary}")
        return result

    def _stem(self) -> str:
        source = self._facts.source
        if source is None:
            raise ValueError("there are no results before there is a source package")
        return f"{source.name}_{without_epoch(source.version)}_{self._facts.request.architecture}"

    def _build_for(self, plugin: Plugin) -> PluginBuild:
        return PluginBuild(plugin.name, self._facts)

    async def _call(self, hook: str, *, forgiving: bool = False, **arguments: object) -> None:
        for plugin, _ in tuple(self._calls.implementations(hook)):
            given = {"build": self._build_for(plugin), **arguments}
            await self._calls.one(plugin, hook, given, forgiving=forgiving)

    async def _ended(self, error: BaseException | None) -> None:
        """Call the last hook of every plug-in, whatever happens to the others."""
        outcome = Outcome(self.result if error is None else None, error)
        for plugin, _ in tuple(self._calls.implementations("build_ended")):
            build = self._build_for(plugin)
            try:
                async with asyncio.timeout(_LAST_HOOK_TAKES_AT_MOST_S):
                    given = {"build": build, "outcome": outcome}
                    await self._calls.one(plugin, "build_ended", given, forgiving=True)
            except TimeoutError:
                with suppress(DeborchError):
                    build.say(f"warning: build_ended took longer than {_LAST_HOOK_TAKES_AT_MOST_S:g} s and was ended")


class BuildrootHooks:
    """The hooks that are called with the open buildroot."""

    def __init__(self, hooks: BuildHooks, opened: OpenBuildroot) -> None:
        self._hooks = hooks
        self._opened = opened

    async def before(self, stage: Stage) -> None:
        await self._hooks._call(f"before_{stage.value}", buildroot=self._opened)

    async def after(self, stage: Stage) -> None:
        await self._hooks._call(f"after_{stage.value}", buildroot=self._opened)


class Plugins:
    """The plug-ins that a configuration enables.

    Raises:
        DeborchError: INVALID_SETTING or PLUGIN_FAILED, naming the plug-in that cannot be used.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._plugins = configured(config.plugins)
        self.config = self._resolved(config)
        """With what the plug-ins changed in it."""

    @asynccontextmanager
    async def of_build(self, request: BuildRequest, steps: Steps, log: Path) -> AsyncIterator[BuildHooks]:
        """The plug-ins of one build; `build_ended` is called on leaving, and their scratch files are removed."""
        scratch = self.config.sandboxes_dir / f"{request.build_id}-plugins-{id(steps):x}"
        facts = BuildFacts(request, self.config, steps, scratch, log)
        hooks = BuildHooks(_Calls(self._plugins, steps.log), facts)
        if not self._plugins:
            yield hooks
            return
        async with record.owned(self.config.sandboxes_dir, scratch.name, (scratch,)):
            try:
                yield hooks
            except BaseException as error:
                await hooks._ended(error)
                raise
            await hooks._ended(None)

    @asynccontextmanager
    async def of_command(
        self, request: CommandRequest, sandbox: Sandbox, on_log: LogSink
    ) -> AsyncIterator[Callable[[int], None]]:
        """Around a command or shell; what is yielded is to be called with its exit code."""
        calls = _Calls(self._plugins, on_log)
        opened = OpenBuildroot(sandbox, Steps(on_log, None), self.config.proxies)
        await calls.each("before_command", command=request, buildroot=opened)
        returncodes: list[int] = []
        yield returncodes.append
        for returncode in returncodes:
            await calls.each("after_command", command=request, buildroot=opened, returncode=returncode)

    async def before_clean(self, base: Base) -> None:
        await self._calls().each("before_clean", config=self.config, base=base)

    async def after_clean(self, base: Base, *, removed: bool) -> None:
        await self._calls().each("after_clean", config=self.config, base=base, removed=removed)

    def _calls(self) -> _Calls:
        return _Calls(self._plugins, lambda _: None)

    def _resolved(self, config: EngineConfig) -> EngineConfig:
        calls = self._calls()
        for plugin, implementation in calls.implementations("configuration_resolved"):
            try:
                answer = implementation.function(*(config for _ in implementation.argnames))
            except Exception as error:
                raise _explained(plugin.name, "configuration_resolved", error) from error
            if isinstance(answer, EngineConfig):
                config = replace(answer, plugins=config.plugins)
        return config


def _explained(plugin: str, hook: str, error: Exception) -> DeborchError:
    if isinstance(error, DeborchError):
        if "plugin" in error.fields:
            return error
        fields = {**error.fields, "plugin": plugin, "hook": hook}
        return DeborchError(
            error.code, f"the plug-in {plugin} failed in {hook}: {error.message}", hint=error.hint, **fields
        )
    return refused(
        plugin,
        f"failed in {hook}: {type(error).__name__}: {error}",
        "report it to those who wrote the plug-in; disable it, or make it advisory (required: false)",
        hook=hook,
    )
