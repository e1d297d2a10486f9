"""The stages of one build in their order, from the source to the published results."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from deb_mock.bases.store import BaseStore
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.builds import build_ending
from deb_mock.builds.check_rooms import Rooms
from deb_mock.builds.failed_buildroot import OnFailed
from deb_mock.builds.package_build import PackageBuilds
from deb_mock.builds.report import BuildReport
from deb_mock.caches.garbage import GarbageCollector
from deb_mock.dependencies.resolver import Dependencies, DependencyResolver
from deb_mock.engine_config import EngineConfig, SignaturePolicy
from deb_mock.layers.package_layers import PackageLayers
from deb_mock.model import Base, BuildRequest, BuildResult, LogSink, Stage
from deb_mock.plans import build_plan, profiles, surroundings
from deb_mock.plugins import checks as verdicts
from deb_mock.plugins.manager import BuildHooks
from deb_mock.results.directory import ResultDirectory
from deb_mock.sources.package import SourcePackage
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError


class EnsureBase(Protocol):
    """`Engine.ensure_base`, as far as a build needs it."""

    def __call__(
        self, suite: str, architecture: str, *, components: tuple[str, ...], on_log: LogSink
    ) -> Awaitable[Base]: ...


class BuildPipeline:
    """What happens to one source package."""

    def __init__(
        self,
        config: EngineConfig,
        *,
        ensure_base: EnsureBase,
        buildroots: Buildroots,
        bases: BaseStore,
        garbage: GarbageCollector,
        dependencies: DependencyResolver,
        packages: PackageLayers,
    ) -> None:
        self._config = config
        self._ensure_base = ensure_base
        self._buildroots = buildroots
        self._bases = bases
        self._garbage = garbage
        self._dependencies = dependencies
        self._packages = packages
        self._builds = PackageBuilds(buildroots, config.orig_signature)

    async def build(
        self,
        results: ResultDirectory,
        steps: Steps,
        log_path: Path,
        report: BuildReport,
        hooks: BuildHooks,
        on_failed: OnFailed | None,
    ) -> BuildResult:
        """Build `report.request`; what is found out on the way goes into `report`, also if it fails.

        Raises:
            DeborchError: with `failure_class`.
        """
        request = report.request
        with steps.stage(Stage.SOURCE):
            package = await self._read_source(request, steps)
            report.took_source(package, steps)
        with steps.stage(Stage.BASE):
            await hooks.before(Stage.BASE, source=package.description)
            base = await self._ensure_base(
                request.suite, request.architecture, components=request.components, on_log=steps.log
            )
            report.took_base(base, steps)
            report.request = request = await hooks.base_ready(base)
        async with AsyncExitStack() as held:
            held.enter_context(self._bases.in_use(base))
            await self._garbage.collect_if_due(steps.log)
            with steps.stage(Stage.DEPENDENCIES):
                await hooks.before(Stage.DEPENDENCIES)
                dependencies = await held.enter_async_context(self._layers(base, package, steps, report, hooks))
                report.layers, report.dependency_cache = dependencies.layers, dependencies.cache
                await hooks.dependencies_ready()
            artifacts = await self._builds.build(
                base, report.layers, package, results, steps, report, hooks=hooks, on_failed=on_failed
            )
            collected = await hooks.collected(results, artifacts)
            rooms = Rooms(self._dependencies, self._buildroots, base, package, request, steps, collected)
            with steps.stage(Stage.CHECK) if hooks.has_checks else nullcontext():
                report.checks = await hooks.checked(collected, rooms)
        report.artifacts = collected.artifacts
        report.refusal = verdicts.verdict(report.checks, results.final)
        await hooks.log_closed(
            collected, await asyncio.to_thread(build_ending.close_log, report, steps, log_path, results)
        )
        report.artifacts = collected.artifacts
        await asyncio.to_thread(build_ending.publish, report, steps, results)
        plan = build_plan.BuildPlan(request, package.description)
        return BuildResult(
            source=plan.source.name,
            version=plan.version,
            artifacts=tuple(report.artifacts),
            stages=tuple(steps.times),
            dependency_cache=report.dependency_cache,
            checks=report.checks,
            installed=report.installed,
            missing_versions=report.missing_versions,
            in_memory=report.in_memory,
        )

    async def _read_source(self, request: BuildRequest, steps: Steps) -> SourcePackage:
        for name in profiles.unknown(request.profiles):
            steps.say(f"warning: {name} is no registered build profile; is it spelled right?")
        policy = self._config.dsc_signature

        def warn(error: DeborchError) -> None:
            steps.say(f"warning: {error.message}")

        return await SourcePackage.read(
            request.dsc,
            directory=request.source_dir,
            keyring=None if policy is SignaturePolicy.OFF else self._config.source_keyring,
            on_bad_signature=warn if policy is SignaturePolicy.WARN else None,
        )

    @asynccontextmanager
    async def _layers(
        self, base: Base, package: SourcePackage, steps: Steps, report: BuildReport, hooks: BuildHooks
    ) -> AsyncIterator[Dependencies]:
        """Everything that is installed above the base; nobody removes it meanwhile."""
        request = report.request
        async with AsyncExitStack() as held:
            if request.exact is not None:
                exactly = self._packages.exactly(base, request.exact, request.extra_sources, steps)
                found = await held.enter_async_context(exactly)
                report.missing_versions = tuple(each.for_apt() for each in found.missing)
                dependencies = Dependencies(found.layers, "miss")
            else:
                provided = self._dependencies.provided(base, package, request, steps, hooks)
                dependencies = await held.enter_async_context(provided)
            steps.say(f"build dependencies: cache {dependencies.cache}")
            # an exact set has no room for what plug-ins need: like the tools of surroundings it goes above it
            of_plugins = () if request.exact is None else hooks.tools
            if tools := (*surroundings.tools(request.surroundings), *of_plugins):
                with_tools = self._packages.with_tools(base, dependencies.layers, tools, steps)
                above = await held.enter_async_context(with_tools)
                dependencies = Dependencies(above.layers, dependencies.cache)
            yield dependencies
