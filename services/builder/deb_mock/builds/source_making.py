"""From an unpacked tree to a source package: `dpkg-source -b` as the build user of a clean buildroot."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from deb_mock.archives.repositories import WORKSPACE
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.dependencies.resolver import Dependencies, DependencyResolver
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BUILD_UID, BUILD_USER, Base, BuildRequest, FetchResult, LogSink, TreeRequest
from deb_mock.plans import relations
from deb_mock.results.directory import ResultDirectory
from deb_mock.sources.fetch import take_source
from deb_mock.sources.package import SourcePackage
from deb_mock.sources.tree import SourceTree
from deb_mock.stages.steps import Steps
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import open_sandbox


class SourceMaker:
    """Makes source packages."""

    def __init__(self, buildroots: Buildroots, dependencies: DependencyResolver) -> None:
        self._buildroots = buildroots
        self._dependencies = dependencies

    async def make(self, base: Base, request: TreeRequest, results: ResultDirectory, on_log: LogSink) -> FetchResult:
        """Make it from a copy of the tree, put it into `results` and publish that.

        With `request.clean`, `debian/rules clean` is run first, with Build-Depends installed (Policy, section 4.9).

        Raises:
            DeborchError: INVALID_SOURCE if dpkg-source refuses the tree; DEPENDENCY_WAIT if it cannot be cleaned.
        """
        steps = Steps(on_log, None)
        tree = await asyncio.to_thread(SourceTree.read, request.tree)
        tree.tarballs()
        async with AsyncExitStack() as held:
            layers: tuple[Path, ...] = ()
            if request.clean:
                layers = (await held.enter_async_context(self._dependencies_of(base, tree, request, steps))).layers
            spec = self._buildroots.spec(request.request_id, base, layers=layers)
            sandbox = await held.enter_async_context(open_sandbox(spec))
            owner = self._buildroots.file_owner + BUILD_UID
            name = await asyncio.to_thread(tree.copy_into, sandbox.workspace_fd, owner)
            command = ["dpkg-buildpackage", "-S", "-us", "-uc", *([] if request.clean else ["-d", "-nc"])]
            environment = {"USER": BUILD_USER, "LOGNAME": BUILD_USER}
            cwd = f"{WORKSPACE}/{name}"
            made = await steps.run(sandbox, command, uid=BUILD_UID, cwd=cwd, env=environment, check=False)
            if made.returncode != 0:
                raise failure(
                    FailureClass.POLICY,
                    ErrorCode.INVALID_SOURCE,
                    f"{request.tree} cannot be made into a source package: {command[0]} failed",
                    hint="the end of the log says why"
                    + (
                        ""
                        if request.clean
                        else "; if files of an earlier build lie in the tree, do not use --no-clean-source"
                    ),
                )
            return await asyncio.to_thread(take_source, sandbox.workspace_fd, results)

    def _dependencies_of(
        self, base: Base, tree: SourceTree, request: TreeRequest, steps: Steps
    ) -> AbstractAsyncContextManager[Dependencies]:
        source = tree.description
        package = SourcePackage(
            Path(source.dsc_name), relations.as_dsc(source, source.relations), source, request.tree.parent
        )
        build = BuildRequest(
            build_id=request.request_id,
            dsc=package.dsc,
            source_dir=package.directory,
            suite=request.suite,
            architecture=request.architecture,
            result_dir=request.result_dir,
            mode="source",
            extra_sources=request.extra_sources,
        )
        return self._dependencies.provided(base, package, build, steps)
