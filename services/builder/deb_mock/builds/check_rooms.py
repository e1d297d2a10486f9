"""Clean buildroots for checks: tools in a cached layer, the results in the workspace, no network unless asked for."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.dependencies.resolver import DependencyResolver
from deb_mock.model import BUILD_UID, Base, BuildRequest
from deb_mock.plans.relations import as_dsc
from deb_mock.plugins.context import CollectedResults, OpenBuildroot
from deb_mock.sources.package import SourcePackage
from deb_mock.stages.steps import Steps
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sources import SourceDescription


@dataclass(frozen=True, slots=True)
class Rooms:
    """`deb_mock.plugins.api.CheckRooms` for the results of one build."""

    dependencies: DependencyResolver
    buildroots: Buildroots
    base: Base
    package: SourcePackage
    request: BuildRequest
    steps: Steps
    results: CollectedResults

    @property
    def _tools_request(self) -> BuildRequest:
        build_id = f"{self.request.build_id[:90]}-check"
        return replace(
            self.request,
            build_id=build_id,
            mode="any+all",
            host_architecture=None,
            exact=None,
            profiles=(),
            build_options=(),
            add_depends=(),
            add_conflicts=(),
            first_alternative=False,
            resolver="apt",
        )

    @asynccontextmanager
    async def open(
        self, packages: Sequence[str] = (), *, with_source: bool = False, on_disk: bool = False
    ) -> AsyncIterator[OpenBuildroot]:
        """A buildroot with `packages` installed and the artifacts in its workspace."""
        async with AsyncExitStack() as held:
            layers: tuple[Path, ...] = ()
            if packages:
                tools = relations_only("deb-mock-check", packages)
                provided = self.dependencies.provided(self.base, tools, self._tools_request, self.steps)
                layers = (await held.enter_async_context(provided)).layers
            spec = self.buildroots.spec(
                self._tools_request.build_id, self.base, layers=layers, repositories=self.request.extra_sources
            )
            if on_disk:
                spec = replace(spec, scratch_bytes=None)
            sandbox = await held.enter_async_context(open_sandbox(spec))
            await asyncio.to_thread(self._fill, sandbox.workspace_fd, with_source)
            yield OpenBuildroot(sandbox, self.steps, self.dependencies.proxies)

    def _fill(self, workspace_fd: int, with_source: bool) -> None:
        owner = self.buildroots.file_owner
        if with_source:
            self.package.copy_into(workspace_fd, owner)
        for artifact in self.results.artifacts:
            if with_source and artifact.name in self._source_names():
                continue
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(artifact.name, flags, 0o644, dir_fd=workspace_fd)
            with os.fdopen(descriptor, "wb") as target, self.results.path(artifact).open("rb") as content:
                os.fchown(target.fileno(), owner + BUILD_UID, owner + BUILD_UID)
                shutil.copyfileobj(content, target, 1 << 20)

    def _source_names(self) -> set[str]:
        return {self.package.dsc.name, *(file.name for file in self.package.description.files)}


def relations_only(name: str, relations: Sequence[str]) -> SourcePackage:
    """What apt-get build-dep needs to see to install `relations`; there is no such source package."""
    joined = ", ".join(relations)
    description = SourceDescription(
        name=name,
        version="1",
        format="3.0 (native)",
        architectures=("any",),
        files=(),
        binaries=(name,),
        maintainer="deb-mock <nobody@localhost>",
        relations={"Build-Depends": joined},
        is_signed=False,
    )
    return SourcePackage(
        Path(f"{name}_1.dsc"), as_dsc(description, description.relations), description, Path("/nonexistent")
    )
