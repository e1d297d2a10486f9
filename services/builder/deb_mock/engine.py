"""The engine: one source package in, its binary packages out, nothing left behind.

This is the whole port for the builder daemon and for the command line.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from deb_mock.archives.apt_output import APT_ENVIRONMENT
from deb_mock.archives.repositories import add_repositories, check_repositories, file_repositories
from deb_mock.bases.store import BaseStore
from deb_mock.buildroots import sessions
from deb_mock.buildroots.buildroot import Buildroots, check_name
from deb_mock.buildroots.named import NamedBuildroots
from deb_mock.buildroots.sessions import BuildrootSession
from deb_mock.builds import build_ending
from deb_mock.builds.failed_buildroot import OnFailed, untimed
from deb_mock.builds.ongoing import OngoingWork
from deb_mock.builds.pipeline import BuildPipeline
from deb_mock.builds.report import BuildReport
from deb_mock.builds.source_making import SourceMaker
from deb_mock.builds.tool_runs import ToolRequest, ToolResult, ToolRuns
from deb_mock.caches.garbage import GarbageCollector, Removed
from deb_mock.caches.inventory import Inventory, take_inventory
from deb_mock.dependencies.explanation import Explainer, Explanation
from deb_mock.dependencies.resolver import DependencyResolver
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.host.privileges import require_root
from deb_mock.layers.package_layers import PackageLayers
from deb_mock.model import (
    MAIN_ONLY,
    Base,
    BuildRequest,
    BuildResult,
    CacheKind,
    CommandRequest,
    FetchRequest,
    FetchResult,
    LogSink,
    NamedBuildroot,
    Recovered,
    SampleSink,
    SessionRequest,
    StageSink,
    TreeRequest,
)
from deb_mock.plans import build_plan, surroundings
from deb_mock.plugins.manager import Plugins
from deb_mock.results.directory import ResultDirectory
from deb_mock.sources import fetch
from deb_mock.stages import limits
from deb_mock.stages.guards import plain_failures, time_limit
from deb_mock.stages.steps import Steps
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox import backends, record
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sources import SourceDescription


class Engine:
    """Builds source packages in clean buildroots. Builds may run at the same time, in one loop or many processes."""

    def __init__(self, config: EngineConfig) -> None:
        self._plugins = Plugins(config)
        self._config = config = self._plugins.config
        self._buildroots = Buildroots(config)
        self._bases = BaseStore(config, self._buildroots)
        self._garbage = GarbageCollector(config, self._bases)
        self._dependencies = DependencyResolver(config, self._buildroots)
        self._packages = PackageLayers(config, self._buildroots)
        self._pipeline = BuildPipeline(
            config,
            ensure_base=self.ensure_base,
            buildroots=self._buildroots,
            bases=self._bases,
            garbage=self._garbage,
            dependencies=self._dependencies,
            packages=self._packages,
        )
        self._tools = ToolRuns(self._buildroots, self._packages)
        self._sources = fetch.SourceFetcher(config, self._buildroots)
        self._explainer = Explainer(config, self._buildroots)
        self._maker = SourceMaker(self._buildroots, self._dependencies)
        self._named = NamedBuildroots(config, self._buildroots)
        self._work = OngoingWork(config.sandboxes_dir)

    async def recover(self) -> Recovered:
        """Remove what dead owners left: buildroots, half-made layers and bases. Can be repeated at any time."""
        require_root()
        with plain_failures():
            self._config.sandboxes_dir.mkdir(parents=True, exist_ok=True)
            self._close_caches()
            sandboxes = await record.recover(self._config.sandboxes_dir)
            bases = await self._bases.recover()
            layers = await self._garbage.recover()
        return Recovered(tuple(found.name for found in sandboxes), bases, layers)

    def _close_caches(self) -> None:
        """Users of this host must not reach what is in bases and layers: programs with the setuid bit among it."""
        for directory in (self._config.bases_dir, self._config.layers_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)

    async def ensure_base(
        self,
        suite: str,
        architecture: str,
        *,
        components: tuple[str, ...] = MAIN_ONLY,
        check: bool = False,
        on_log: LogSink,
    ) -> Base:
        """The base of `suite`, made now if need be (about half a minute); with `check` the archive is asked now.

        Raises:
            DeborchError: with `failure_class` chroot-fault, fetch-fault or policy.
        """
        require_root()
        with plain_failures():
            backends.check(self._config.backend)
            self._close_caches()
            base = await self._bases.ensure(suite, architecture, on_log, components=components, check=check)
            await self._buildroots.probe(base, on_log)
        return base

    @asynccontextmanager
    async def _base(
        self, suite: str, architecture: str, components: tuple[str, ...], on_log: LogSink
    ) -> AsyncIterator[Base]:
        """The base, kept from removal meanwhile."""
        base = await self.ensure_base(suite, architecture, components=components, on_log=on_log)
        with self._bases.in_use(base):
            yield base

    async def build(
        self,
        request: BuildRequest,
        *,
        on_log: LogSink,
        on_stage: StageSink | None = None,
        on_sample: SampleSink | None = None,
        on_failed: OnFailed | None = None,
    ) -> BuildResult:
        """Build one source package; the result directory appears whole, or not at all.

        `on_failed` gets the buildroot if the build fails in it.

        Cancelling the task that awaits this ends everything in the buildroot and removes it.

        Raises:
            DeborchError: with `failure_class`; for dep-wait also `missing`, the relations that cannot be satisfied.
        """
        require_root()
        self._check(request)
        results = ResultDirectory(request.result_dir, merge=request.merge_results)
        log_path = results.unfinished.with_suffix(".log")
        async with self._work.with_results(request.build_id, results, (log_path,)):
            with log_path.open("xb", buffering=0) as log:
                steps = Steps(
                    _both(log.write, on_log),
                    on_stage,
                    request.log_limit_bytes,
                    log_idle_s=request.log_idle_s,
                    on_sample=on_sample,
                )
                report = BuildReport(request)
                async with build_ending.told(report, steps, log_path):
                    with plain_failures():
                        async with (
                            time_limit(request.timeout_s) as limit,
                            self._plugins.of_build(request, steps, log_path) as hooks,
                        ):
                            hooks.result = result = await self._pipeline.build(
                                results, steps, log_path, report, hooks, untimed(limit, on_failed)
                            )
                            if report.refusal is not None:
                                raise report.refusal
        return result

    async def fetch_source(self, request: FetchRequest, *, on_log: LogSink) -> FetchResult:
        """A source package from the Debian suite; apt verifies it up to the archive's signature.

        Raises:
            DeborchError: with `failure_class`; NOT_FOUND if the suite has no such source or version.
        """
        require_root()
        fetch.check(request)
        results = ResultDirectory(request.result_dir)
        async with (
            self._work.with_results(request.fetch_id, results, ()),
            time_limit(request.timeout_s),
            self._base(request.suite, request.architecture, request.components, on_log) as base,
        ):
            return await self._sources.fetch(base, request, results, on_log)

    async def make_source(self, request: TreeRequest, *, on_log: LogSink) -> FetchResult:
        """A source package of an unpacked tree, which is only read.

        Raises:
            DeborchError: with `failure_class`; INVALID_SOURCE if none can be made of it.
        """
        require_root()
        check_name(request.request_id)
        check_repositories(request.extra_sources)
        results = ResultDirectory(request.result_dir)
        async with (
            self._work.with_results(request.request_id, results, ()),
            time_limit(request.timeout_s),
            self._base(request.suite, request.architecture, request.components, on_log) as base,
        ):
            return await self._maker.make(base, request, results, on_log)

    async def explain(
        self, source: SourceDescription, request: BuildRequest, *, look_in: tuple[str, ...] = (), on_log: LogSink
    ) -> Explanation:
        """Whether the build dependencies of `source` can be installed and if not, why; `look_in` names other suites.

        Raises:
            DeborchError: with `failure_class`, if that cannot be found out.
        """
        require_root()
        self._check(request)
        steps = Steps(on_log, None)
        with plain_failures():
            async with (
                self._work.known(),
                time_limit(request.timeout_s),
                self._base(request.suite, request.architecture, request.components, on_log) as base,
            ):
                return await self._explainer.explain(base, source, request, look_in, steps)

    def scratch(self, name: str) -> AbstractAsyncContextManager[Path]:
        """A directory that is removed at the end, or by `recover` if this process is killed."""
        return self._work.scratch(name)

    async def run_command(self, request: CommandRequest, *, on_output: LogSink, on_log: LogSink) -> int:
        """Run a command as root of a clean buildroot; its exit code, negative for a signal.

        `on_output` gets what the command writes, `on_log` what is told while a base is made.

        Raises:
            DeborchError: with `failure_class`, if it could not be run.
        """
        require_root()
        check_name(request.command_id)
        check_repositories(request.extra_sources)
        with plain_failures():
            async with (
                self._work.known(),
                time_limit(request.timeout_s),
                self._base(request.suite, request.architecture, MAIN_ONLY, on_log) as base,
            ):
                spec = self._buildroots.spec(request.command_id, base, repositories=request.extra_sources)
                async with open_sandbox(spec) as sandbox:
                    await add_repositories(sandbox, request.extra_sources)
                    environment = {**APT_ENVIRONMENT, **self._config.proxies}
                    async with self._plugins.of_command(request, sandbox, on_log) as ended:
                        result = await sandbox.run(
                            request.argv,
                            env=environment,
                            network=request.network,
                            on_output=on_output,
                            check=False,
                        )
                        ended(result.returncode)
        return result.returncode

    @property
    def named_buildroots(self) -> NamedBuildroots:
        """Those that are kept between commands."""
        return self._named

    async def make_named(self, request: SessionRequest, *, again: bool, on_log: LogSink) -> NamedBuildroot:
        """Make the buildroot `request.name`; with `again` in place of one that is there.

        Raises:
            DeborchError: with `failure_class`; ALREADY_EXISTS
        """
        require_root()
        with plain_failures():
            async with (
                self._work.known(),
                self._base(request.suite, request.architecture, request.components, on_log) as base,
            ):
                return await sessions.make_named(self._named, base, request, again=again)

    @asynccontextmanager
    async def session(self, request: SessionRequest, *, on_log: LogSink) -> AsyncIterator[BuildrootSession]:
        """A buildroot to run commands in, by hand, as long as the context lasts.

        Raises:
            DeborchError: with `failure_class`; NOT_FOUND if there is no buildroot of that name.
        """
        require_root()
        check_repositories(request.extra_sources)
        with plain_failures():
            async with self._work.known(), AsyncExitStack() as stack:
                if request.name is None:
                    kept = self._base(request.suite, request.architecture, request.components, on_log)
                    base = await stack.enter_async_context(kept)
                    spec = self._buildroots.spec(request.session_id, base)
                else:
                    spec = await stack.enter_async_context(self._named.opened(request.name, on_log))
                shown = (*file_repositories(request.extra_sources), *request.binds)
                spec = replace(spec, binds=(*spec.binds, *shown))
                sandbox = await stack.enter_async_context(open_sandbox(spec))
                await add_repositories(sandbox, request.extra_sources)
                yield BuildrootSession(
                    sandbox,
                    file_owner=self._buildroots.file_owner,
                    proxies=self._config.proxies,
                    on_log=on_log,
                    around=lambda argv: self._plugins.of_command(
                        CommandRequest(request.session_id, tuple(argv), request.suite, request.architecture),
                        sandbox,
                        on_log,
                    ),
                )

    async def available(
        self,
        suite: str,
        architecture: str,
        names: Sequence[str],
        *,
        components: tuple[str, ...] = MAIN_ONLY,
        on_log: LogSink,
    ) -> frozenset[str]:
        """Which binary packages of `names` the suite has."""
        with plain_failures():
            async with self._base(suite, architecture, components, on_log) as base:
                return await self._packages.available(base, names, Steps(on_log, None))

    async def run_tool(self, request: ToolRequest, result_dir: Path, *, on_log: LogSink) -> ToolResult:
        """Run a tool of the suite in a clean sandbox; what it leaves appears in `result_dir` at once.

        Raises:
            DeborchError: with `failure_class`, if it could not be run.
        """
        require_root()
        results = ResultDirectory(result_dir)
        async with (
            self._work.with_results(request.run_id, results, ()),
            self._base(request.suite, request.architecture, MAIN_ONLY, on_log) as base,
        ):
            result = await self._tools.run(base, request, results, Steps(on_log, None))
            await asyncio.to_thread(results.publish)
        return result

    async def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        await self._work.close()

    def bases(self) -> list[Base]:
        """The cached bases, oldest first."""
        return self._bases.all()

    async def remove_base(self, base: Base) -> bool:
        """Remove a base with its dependency layers, unless a buildroot uses it; tells whether."""
        await self._plugins.before_clean(base)
        removed = await self._bases.remove(base)
        await self._plugins.after_clean(base, removed=removed)
        return removed

    def inventory(self) -> Inventory:
        """What is cached, and which buildroots are in use, as it is at this moment."""
        return take_inventory(self._config, self._bases, self._garbage, self._named)

    async def collect_garbage(self) -> list[Removed]:
        """Remove from the cache what is beyond the limits of the configuration and not in use."""
        require_root()
        with plain_failures():
            return await self._garbage.collect()

    async def scrub(self, kind: CacheKind, suite: str | None = None) -> list[Removed]:
        """Remove all of a kind that is not in use from the cache."""
        require_root()
        with plain_failures():
            return await self._garbage.scrub(kind, suite)

    def _check(self, request: BuildRequest) -> None:
        check_name(request.build_id)
        surroundings.check(request.surroundings)
        build_plan.check(request)
        check_repositories(request.extra_sources)
        limits.check(limits.narrowed(self._config.limits, request.limits))
        if request.network and not self._config.network_allowed:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                "the build asks for the network, which the policy of this engine does not allow",
                hint="set network.builds to on-request in the configuration, or build without --network",
            )


def _both(first: Callable[[bytes], object], second: LogSink) -> LogSink:
    def write(chunk: bytes) -> None:
        first(chunk)
        second(chunk)

    return write
