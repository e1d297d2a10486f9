"""The build proper: a clean buildroot on the dependency layers, unpack, dpkg-buildpackage, collect."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from deb_mock.base_recipe import BUILD_UID, BUILD_USER
from deb_mock.buildroot import Buildroots
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.model import Artifact, Base, BuildRequest, Stage
from deb_mock.plugins.manager import BuildHooks
from deb_mock.repositories import WORKSPACE
from deb_mock.results import ResultDirectory, collect
from deb_mock.scratch import used_bytes
from deb_mock.source import SourcePackage
from deb_mock.steps import Steps
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sandbox.spec import SandboxSpec

_MODE_FLAGS = {"any+all": "-b", "any": "-B", "all": "-A"}
_FULL_BELOW_BYTES = 64 << 10
_NO_SPACE = b"No space left on device"
_TAIL_BYTES = 64 << 10
_USER_ENVIRONMENT = {"USER": BUILD_USER, "LOGNAME": BUILD_USER}


class PackageBuilds:
    """Builds packages whose dependencies are ready."""

    def __init__(self, buildroots: Buildroots) -> None:
        self._buildroots = buildroots

    async def build(
        self,
        base: Base,
        layers: Sequence[Path],
        package: SourcePackage,
        request: BuildRequest,
        results: ResultDirectory,
        steps: Steps,
        *,
        hooks: BuildHooks,
    ) -> list[Artifact]:
        """Build `package` and put what comes out into `results`.

        Raises:
            DeborchError: BUILD_FAILED of class compile or killed, DISK_FULL, or CHROOT_FAILED.
        """
        source_directory = f"{WORKSPACE}/{_directory_name(package)}"
        async with AsyncExitStack() as stack:
            with steps.stage(Stage.BUILDROOT), failures_are(FailureClass.CHROOT):
                plain = self._buildroots.spec(request.build_id, base, layers=layers, source=package.description.name)
                spec = hooks.spec(plain)
                sandbox = await stack.enter_async_context(open_sandbox(spec))
                stack.callback(self._remember_size, package.description.name, sandbox, spec)
                await asyncio.to_thread(package.copy_into, sandbox.workspace_fd, self._buildroots.file_owner)
                inside = await stack.enter_async_context(hooks.buildroot(sandbox))
            with steps.stage(Stage.UNPACK):
                await inside.before(Stage.UNPACK)
                unpack = ["dpkg-source", "--no-check", "-x", f"{WORKSPACE}/{package.dsc.name}", source_directory]
                await self._run(sandbox, steps, unpack, WORKSPACE, {})
                await inside.after(Stage.UNPACK)
            with steps.stage(Stage.BUILD):
                command, environment = hooks.build_command(_command(request)), hooks.environment(_environment(request))
                await inside.before(Stage.BUILD)
                await self._run(sandbox, steps, command, source_directory, environment)
                await inside.after(Stage.BUILD)
            with steps.stage(Stage.COLLECT):
                name, version = package.description.name, package.description.version
                artifacts = await asyncio.to_thread(collect, sandbox.workspace_fd, name, version, request, results)
        return artifacts

    def _remember_size(self, source: str, sandbox: Sandbox, spec: SandboxSpec) -> None:
        self._buildroots.scratch.remember(source, used_bytes(sandbox, spec))

    @staticmethod
    async def _run(sandbox: Sandbox, steps: Steps, argv: list[str], cwd: str, environment: dict[str, str]) -> None:
        result = await steps.run(
            sandbox, argv, uid=BUILD_UID, cwd=cwd, env={**_USER_ENVIRONMENT, **environment}, check=False
        )
        if result.returncode != 0:
            raise _explained(sandbox, argv[0], result)


def _directory_name(package: SourcePackage) -> str:
    """As dpkg-source names it by itself, so that the build path is the same everywhere."""
    upstream = package.description.version.partition(":")[2] or package.description.version
    return f"{package.description.name}-{upstream.rpartition('-')[0] or upstream}"


def _command(request: BuildRequest) -> list[str]:
    profiles = [f"-P{','.join(request.profiles)}"] if request.profiles else []
    return ["dpkg-buildpackage", "-us", "-uc", _MODE_FLAGS[request.mode], f"-j{request.parallel}", *profiles]


def _environment(request: BuildRequest) -> dict[str, str]:
    options = (f"parallel={request.parallel}", *request.build_options)
    return {"DEB_BUILD_OPTIONS": " ".join(options)}


def _explained(sandbox: Sandbox, program: str, result: ProcessResult) -> DeborchError:
    free = os.fstatvfs(sandbox.workspace_fd)
    if free.f_bavail * free.f_frsize < _FULL_BELOW_BYTES or _NO_SPACE in result.output[-_TAIL_BYTES:]:
        return failure(
            FailureClass.CHROOT,
            ErrorCode.DISK_FULL,
            "the buildroot is full",
            hint="give builds more memory for their files (tmpfs size), or let them use the disk (no tmpfs)",
        )
    if result.returncode < 0:
        return failure(
            FailureClass.KILLED,
            ErrorCode.BUILD_FAILED,
            f"{program} was ended by signal {-result.returncode}",
            hint="either the build killed its own process group, or the machine ran out of memory",
            returncode=result.returncode,
        )
    return failure(
        FailureClass.COMPILE,
        ErrorCode.BUILD_FAILED,
        f"{program} failed with exit code {result.returncode}",
        hint="the end of the log says why",
        returncode=result.returncode,
    )
