"""The build proper: a clean buildroot on the dependency layers, unpack, dpkg-buildpackage, collect."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.archives.repositories import put_file
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.buildroots.scratch import used_bytes
from deb_mock.builds.failed_buildroot import FailedBuildroot, OnFailed, shown_if_it_fails
from deb_mock.builds.report import BuildReport
from deb_mock.engine_config import SignaturePolicy
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.host.disk_space import DiskSpace
from deb_mock.installed import QUERY, check_record, digest_of, installed_packages
from deb_mock.model import Artifact, ArtifactKind, Base, BuildRequest, Stage
from deb_mock.plans import surroundings
from deb_mock.plans.build_plan import MODES_WITH_SOURCE, BuildPlan
from deb_mock.plugins.manager import BuildHooks
from deb_mock.results.directory import ResultDirectory, collect, read_bounded
from deb_mock.sources import signatures
from deb_mock.sources.package import SourcePackage
from deb_mock.stages import limits
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sandbox.spec import CLEAN_ENVIRONMENT, SandboxSpec

_NO_SPACE = b"No space left on device"
_TAIL_BYTES = 64 << 10
_LIST_CONTENTS = 'for file do echo; echo "$file"; dpkg-deb --info "$file"; dpkg-deb --contents "$file"; done'
_ENTRY = "changelog-entry"
_ADD_ENTRY = 'cat "$1" debian/changelog >"$1.new" && cp --remove-destination "$1.new" debian/changelog'
_PACKAGES = (ArtifactKind.DEB, ArtifactKind.UDEB, ArtifactKind.DDEB)


class PackageBuilds:
    """Builds packages whose dependencies are ready."""

    def __init__(self, buildroots: Buildroots, orig_signature: SignaturePolicy) -> None:
        self._buildroots = buildroots
        self._orig_signature = orig_signature

    async def build(
        self,
        base: Base,
        layers: Sequence[Path],
        package: SourcePackage,
        results: ResultDirectory,
        steps: Steps,
        report: BuildReport,
        *,
        hooks: BuildHooks,
        on_failed: OnFailed | None = None,
    ) -> list[Artifact]:
        """Build `package` as the request of `report` says, and put what comes out into `results`.

        Raises:
            DeborchError: BUILD_FAILED of class compile or killed, INVALID_SOURCE, DISK_FULL, or CHROOT_FAILED.
        """
        plan = BuildPlan(report.request, package.description)
        report.build_path = surroundings.build_path(package, report.request.surroundings)
        async with AsyncExitStack() as stack:
            with steps.stage(Stage.BUILDROOT), failures_are(FailureClass.CHROOT):
                opened = self._opened(base, layers, package, steps, report, hooks)
                build = await stack.enter_async_context(opened)
                inside = await stack.enter_async_context(hooks.buildroot(build.sandbox, build.workspace))
                await stack.enter_async_context(shown_if_it_fails(build.failed, on_failed))
            with steps.stage(Stage.UNPACK):
                await inside.before(Stage.UNPACK)
                await self._unpack(build, package, plan)
                await inside.after(Stage.UNPACK)
            with steps.stage(Stage.BUILD):
                await inside.before(Stage.BUILD)
                command = hooks.build_command(surroundings.command(report.request))
                await self._run_build(build, package, command)
                await inside.after(Stage.BUILD)
            with steps.stage(Stage.COLLECT):
                artifacts = await self._collect(build, plan, results)
        return artifacts

    @asynccontextmanager
    async def _opened(
        self,
        base: Base,
        layers: Sequence[Path],
        package: SourcePackage,
        steps: Steps,
        report: BuildReport,
        hooks: BuildHooks,
    ) -> AsyncIterator["_Build"]:
        """The buildroot with the source package in it."""
        request = report.request
        plain = self._buildroots.spec(
            request.build_id, base, layers=layers, source=package.description.name, limits=request.limits
        )
        spec = hooks.spec(surroundings.applied(plain, report.build_path, request.surroundings))
        report.in_memory = spec.scratch_bytes is not None
        async with open_sandbox(spec) as sandbox:
            await asyncio.to_thread(package.copy_into, sandbox.workspace_fd, self._owner(request))
            variables = hooks.environment(surroundings.environment(request))
            await _prepare(sandbox, steps, report, variables)
            yield _Build(sandbox, spec, steps, report, variables)

    async def _unpack(self, build: "_Build", package: SourcePackage, plan: BuildPlan) -> None:
        dsc = f"{build.workspace}/{package.dsc.name}"
        with _as_source_failure(package):
            await build.run(["dpkg-source", "--no-check", "-x", dsc, build.report.build_path], build.workspace)
        await self._check_originals(build, package)
        await build.change_version(plan)

    async def _run_build(self, build: "_Build", package: SourcePackage, command: list[str]) -> None:
        network = build.report.request.network
        if network:
            build.steps.say("the network is allowed for this build")
        try:
            await build.run(command, build.report.build_path, program="dpkg-buildpackage", network=network)
        except DeborchError:
            await self._remember_size(package.description.name, build)
            raise
        await self._remember_size(package.description.name, build)

    async def _collect(self, build: "_Build", plan: BuildPlan, results: ResultDirectory) -> list[Artifact]:
        report = build.report
        report.artifacts = artifacts = await asyncio.to_thread(
            collect,
            build.sandbox.workspace_fd,
            plan.changes_name,
            results,
            log_name=report.log_name,
            may_link=self._buildroots.ids_are_mapped,
        )
        _check_buildinfo(build.sandbox, report)
        await build.tell_contents(artifacts)
        return artifacts

    async def _remember_size(self, source: str, build: "_Build") -> None:
        """Next time its files go where there is room. In a thread, and not for a cancel: there may be many."""
        size_bytes = await asyncio.to_thread(used_bytes, build.sandbox, build.spec)
        build.steps.took_space(size_bytes)
        self._buildroots.scratch.remember(source, size_bytes)

    def _owner(self, request: BuildRequest) -> int:
        """Who has the files of the source package: the build itself if it writes them anew, root inside otherwise."""
        return self._buildroots.file_owner + (request.surroundings.uid if request.mode in MODES_WITH_SOURCE else 0)

    async def _check_originals(self, build: "_Build", package: SourcePackage) -> None:
        """Before anything of the package runs. The key is read inside: it may be a link."""
        if self._orig_signature is not SignaturePolicy.OFF:
            key = await build.read(f"{build.report.build_path}/{signatures.UPSTREAM_KEY}")
            await signatures.check_originals(package, key, self._orig_signature, build.steps.say)


class _Build:
    """A build in its buildroot, and the commands of its user."""

    def __init__(
        self, sandbox: Sandbox, spec: SandboxSpec, steps: Steps, report: BuildReport, environment: Mapping[str, str]
    ) -> None:
        self.sandbox = sandbox
        self.spec = spec
        self.steps = steps
        self.report = report
        self.workspace = spec.workspace
        self._uid = report.request.surroundings.uid
        self._environment = environment

    @property
    def failed(self) -> FailedBuildroot:
        """As it is shown if the build fails."""
        request, path = self.report.request, self.report.build_path
        return FailedBuildroot(
            self.sandbox, self.workspace, path, request.surroundings.uid, self._environment, request.network
        )

    async def run(self, argv: list[str], cwd: str, *, program: str = "", network: bool = False) -> None:
        result = await self.steps.run(
            self.sandbox, argv, uid=self._uid, cwd=cwd, env=self._environment, network=network, check=False
        )
        if result.returncode != 0:
            raise explained(self.sandbox, program or argv[0], result)

    async def read(self, path: str) -> bytes | None:
        """A file, or None if there is none that can be read."""
        found = await self.steps.run(self.sandbox, ["cat", "--", path], uid=self._uid, quiet=True, check=False)
        return found.output if found.returncode == 0 else None

    async def change_version(self, plan: BuildPlan) -> None:
        """Put the entry of a binNMU or the like before the changelog."""
        if plan.changelog_entry is None:
            return
        put_file(self.sandbox, _ENTRY, plan.changelog_entry.encode())
        self.steps.say(f"the packages get the version {plan.version}")
        await self.run(["sh", "-c", _ADD_ENTRY, "sh", f"{self.workspace}/{_ENTRY}"], self.report.build_path)

    async def tell_contents(self, artifacts: Sequence[Artifact]) -> None:
        """What each package is and holds, into the log."""
        self.steps.note((each.name, f"{each.size_bytes} bytes, SHA-256 {each.sha256}") for each in artifacts)
        packages = [each.name for each in artifacts if each.kind in _PACKAGES]
        if packages:
            argv = ["sh", "-c", _LIST_CONTENTS, "sh", *packages]
            result = await self.steps.run(
                self.sandbox, argv, uid=self._uid, cwd=self.workspace, quiet=True, check=False
            )
            self.steps.log(result.output)


async def _prepare(sandbox: Sandbox, steps: Steps, report: BuildReport, variables: Mapping[str, str]) -> None:
    """The build's user, its variables, and the exact set of packages, before the build can lie about it."""
    request = report.request
    for argv in surroundings.preparations(request.surroundings):
        await steps.run(sandbox, argv)
    query = await steps.run(sandbox, QUERY, quiet=True)
    report.installed = installed_packages(query.output.decode("utf-8", "replace"))
    report.environment = dict(sorted({**CLEAN_ENVIRONMENT, **variables}.items()))
    steps.note(
        (
            ("Build path", report.build_path),
            ("User", f"{request.surroundings.user}, uid {request.surroundings.uid}"),
            ("Host name", request.surroundings.hostname),
            ("Umask", f"{request.surroundings.umask:04o}"),
            ("Installed packages", len(report.installed)),
            ("Installed set", digest_of(report.installed)),
        )
    )
    steps.log("".join(f"  {package}\n" for package in report.installed).encode())
    steps.log(b"Environment:\n")
    steps.log("".join(f"  {name}={value}\n" for name, value in report.environment.items()).encode())


def _check_buildinfo(sandbox: Sandbox, report: BuildReport) -> None:
    for artifact in report.artifacts:
        if artifact.kind is ArtifactKind.BUILDINFO:
            check_record(Deb822(read_bounded(sandbox.workspace_fd, artifact.name)), report.installed)


@contextmanager
def _as_source_failure(package: SourcePackage) -> Iterator[None]:
    """A source package that dpkg-source refuses is refused by us, and not a failure of its rules."""
    try:
        yield
    except DeborchError as error:
        if error.fields.get("failure_class") != FailureClass.COMPILE:
            raise
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_SOURCE,
            f"{package.dsc.name} cannot be unpacked: {error.message}",
            hint="the end of the log says why; make the source package again with dpkg-source -b",
        ) from error


def explained(sandbox: Sandbox, program: str, result: ProcessResult) -> DeborchError:
    """Why a command of the build failed. What it printed is foreign: it alone proves nothing."""
    space = DiskSpace.of(sandbox.workspace_fd)
    if space.is_full or (space.is_nearly_full and _NO_SPACE in result.output[-_TAIL_BYTES:]):
        return limits.full(sandbox.scratch_bytes)
    if result.returncode < 0:
        return failure(
            FailureClass.KILLED,
            ErrorCode.BUILD_FAILED,
            f"{program} was ended by signal {-result.returncode}",
            hint="either the build killed its own process group, or the machine as a whole ran out of memory",
            returncode=result.returncode,
        )
    return failure(
        FailureClass.COMPILE,
        ErrorCode.BUILD_FAILED,
        f"{program} failed with exit code {result.returncode}",
        hint="the end of the log says why",
        returncode=result.returncode,
    )
