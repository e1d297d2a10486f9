"""The engine: one source package in, its binary packages out, nothing left behind.

This is the whole port for the builder daemon and for the command line.
"""

import asyncio
import errno
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from deb_mock import fetch
from deb_mock.apt_output import APT_ENVIRONMENT
from deb_mock.base import BaseStore
from deb_mock.buildroot import Buildroots, check_name
from deb_mock.check_rooms import Rooms
from deb_mock.dependencies import DependencyResolver
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.garbage import GarbageCollector, Removed
from deb_mock.inventory import Inventory, take_inventory
from deb_mock.model import (
    MAIN_ONLY,
    Base,
    BuildRequest,
    BuildResult,
    CacheKind,
    CommandRequest,
    EngineConfig,
    FetchRequest,
    FetchResult,
    LogSink,
    Recovered,
    Stage,
    StageSink,
)
from deb_mock.package_build import PackageBuilds
from deb_mock.plugins import checks as verdicts
from deb_mock.plugins.manager import BuildHooks, Plugins
from deb_mock.privileges import require_root
from deb_mock.repositories import add_repository, check_repository
from deb_mock.results import ResultDirectory
from deb_mock.source import SourcePackage
from deb_mock.steps import Steps
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox import record
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.versions import without_epoch


class Engine:
    """Builds source packages in clean buildroots. Builds may run at the same time, in one loop or many processes."""

    def __init__(self, config: EngineConfig) -> None:
        self._plugins = Plugins(config)
        self._config = config = self._plugins.config
        self._buildroots = Buildroots(config)
        self._bases = BaseStore(config, self._buildroots)
        self._garbage = GarbageCollector(config, self._bases)
        self._dependencies = DependencyResolver(config, self._buildroots)
        self._builds = PackageBuilds(self._buildroots)
        self._sources = fetch.SourceFetcher(config, self._buildroots)
        self._running: set[asyncio.Task[object]] = set()

    async def recover(self) -> Recovered:
        """Remove what dead owners left: buildroots, half-made layers and bases. Can be repeated at any time."""
        require_root()
        with _plain_failures():
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
        with _plain_failures():
            self._close_caches()
            base = await self._bases.ensure(suite, architecture, on_log, components=components, check=check)
            await self._buildroots.probe(base, on_log)
        return base

    async def build(self, request: BuildRequest, *, on_log: LogSink, on_stage: StageSink | None = None) -> BuildResult:
        """Build one source package; the result directory appears whole, or not at all.

        Cancelling the task that awaits this ends everything in the buildroot and removes it.

        Raises:
            DeborchError: with `failure_class`; for dep-wait also `missing`, the relations that cannot be satisfied.
        """
        require_root()
        _check(request)
        results = ResultDirectory(request.result_dir)
        log_path = results.unfinished.with_suffix(".log")
        async with self._working(request.build_id, results, (log_path,), request.timeout_s):
            with log_path.open("xb", buffering=0) as log:
                steps = Steps(_both(log.write, on_log), on_stage, request.log_limit_bytes)
                async with self._plugins.of_build(request, steps, log_path) as hooks:
                    hooks.result = result = await self._build(request, results, steps, log_path, hooks)
                    refusal = verdicts.verdict(result.checks, results.final)
                    if refusal is not None:
                        raise refusal
        return result

    async def fetch_source(self, request: FetchRequest, *, on_log: LogSink) -> FetchResult:
        """A source package from the Debian suite; apt verifies it up to the archive's signature.

        Raises:
            DeborchError: with `failure_class`; NOT_FOUND if the suite has no such source or version.
        """
        require_root()
        fetch.check(request)
        results = ResultDirectory(request.result_dir)
        async with self._working(request.fetch_id, results, (), request.timeout_s):
            base = await self.ensure_base(
                request.suite, request.architecture, components=request.components, on_log=on_log
            )
            with self._bases.in_use(base):
                result = await self._sources.fetch(base, request, results, on_log)
        return result

    async def run_command(self, request: CommandRequest, *, on_output: LogSink, on_log: LogSink) -> int:
        """Run a command as root of a clean buildroot; its exit code, negative for a signal.

        `on_output` gets what the command writes, `on_log` what is told while a base is made.

        Raises:
            DeborchError: with `failure_class`, if it could not be run.
        """
        require_root()
        check_name(request.command_id)
        for repository in request.extra_sources:
            check_repository(repository)
        with _plain_failures():
            async with self._known(), _time_limit(request.timeout_s):
                base = await self.ensure_base(request.suite, request.architecture, on_log=on_log)
                with self._bases.in_use(base):
                    spec = self._buildroots.spec(request.command_id, base, repositories=request.extra_sources)
                    async with open_sandbox(spec) as sandbox:
                        for repository in request.extra_sources:
                            await add_repository(sandbox, repository)
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

    async def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

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
        return take_inventory(self._config, self._bases, self._garbage)

    async def collect_garbage(self) -> list[Removed]:
        """Remove from the cache what is beyond the limits of the configuration and not in use."""
        require_root()
        with _plain_failures():
            return await self._garbage.collect()

    async def scrub(self, kind: CacheKind, suite: str | None = None) -> list[Removed]:
        """Remove all of a kind that is not in use from the cache."""
        require_root()
        with _plain_failures():
            return await self._garbage.scrub(kind, suite)

    @asynccontextmanager
    async def _working(
        self, name: str, results: ResultDirectory, files: tuple[Path, ...], timeout_s: float
    ) -> AsyncIterator[None]:
        """Around work that has results: owned on disk, bounded in time, with failures of our kind."""
        claim = f"{name}-result-{secrets.token_hex(4)}"
        with _plain_failures():
            results.check_free()
            async with self._known(), record.owned(self._config.sandboxes_dir, claim, (results.unfinished, *files)):
                results.create()
                async with _time_limit(timeout_s):
                    yield

    @asynccontextmanager
    async def _known(self) -> AsyncIterator[None]:
        """What runs within is ended by `close`."""
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            yield
        finally:
            if task is not None:
                self._running.discard(task)

    async def _build(
        self, request: BuildRequest, results: ResultDirectory, steps: Steps, log_path: Path, hooks: BuildHooks
    ) -> BuildResult:
        with steps.stage(Stage.SOURCE):
            package = await SourcePackage.read(
                request.dsc, directory=request.source_dir, keyring=self._config.source_keyring
            )
        with steps.stage(Stage.BASE):
            await hooks.before(Stage.BASE, source=package.description)
            base = await self.ensure_base(
                request.suite, request.architecture, components=request.components, on_log=steps.log
            )
            request = await hooks.base_ready(base)
        with ExitStack() as held:
            held.enter_context(self._bases.in_use(base))
            await self._garbage.collect_if_due(steps.log)
            with steps.stage(Stage.DEPENDENCIES):
                await hooks.before(Stage.DEPENDENCIES)
                dependencies = await self._dependencies.provide(
                    base, hooks.needs_of(package), request, steps, hooks.apt
                )
                steps.say(f"build dependencies: cache {dependencies.cache}")
                held.enter_context(self._dependencies.in_use(dependencies))
                await hooks.dependencies_ready()
            artifacts = await self._builds.build(
                base, dependencies.layers, package, request, results, steps, hooks=hooks
            )
            collected = await hooks.collected(results, artifacts)
            rooms = Rooms(self._dependencies, self._buildroots, base, package, request, steps, collected)
            with steps.stage(Stage.CHECK) if hooks.has_checks else nullcontext():
                checks = await hooks.checked(collected, rooms)
        description = package.description
        log_name = f"{description.name}_{without_epoch(description.version)}_{request.architecture}.build"
        await hooks.log_closed(collected, await asyncio.to_thread(results.add_log, log_name, log_path))
        await asyncio.to_thread(results.publish)
        return BuildResult(
            description.name,
            description.version,
            collected.artifacts,
            tuple(steps.times),
            dependencies.cache,
            checks,
        )


def _check(request: BuildRequest) -> None:
    check_name(request.build_id)
    for repository in request.extra_sources:
        check_repository(repository)


def _both(first: Callable[[bytes], object], second: LogSink) -> LogSink:
    def write(chunk: bytes) -> None:
        first(chunk)
        second(chunk)

    return write


@asynccontextmanager
async def _time_limit(timeout_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise failure(
            FailureClass.TIMEOUT,
            ErrorCode.PROCESS_TIMEOUT,
            f"the build took longer than {timeout_s:g} s and was ended",
            hint="the end of the log shows what it did last; raise the time limit if it needs more",
        ) from error


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Errors of the system become ours: a full disk says so, and nothing is without a class."""
    try:
        with failures_are(FailureClass.CHROOT):
            yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.DISK_FULL if full else ErrorCode.CHROOT_FAILED,
            f"{error.filename or 'the builder'}: {error.strerror or error}",
            hint="free space in the state, cache and result directories" if full else "see the message of the system",
        ) from error
