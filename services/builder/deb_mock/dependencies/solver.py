"""Another resolver than apt's own: aspcud, which looks at every alternative and wants the fewest changes.

It runs in a sandbox of its own, with apt-cudf and aspcud in a layer that no build ever sees. What it chooses is
then installed by apt in the layer of the build dependencies, by name and version.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from deb_mock.archives import apt_output
from deb_mock.archives.repositories import WORKSPACE, add_repositories, put_file
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.dependencies.apt_get import Answer
from deb_mock.dependencies.question import Question
from deb_mock.failures import FailureClass, failure
from deb_mock.layers.once_layer import once_layer
from deb_mock.model import Base
from deb_mock.plans.build_plan import is_cross, profiles_of
from deb_mock.stages.steps import Steps
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sandbox.spec import Bind

_PACKAGES = ("apt-cudf", "aspcud")
_PURPOSE = "solver-aspcud"
_STAND_IN = "deb-mock-build-dependencies"
_REDUCE = """
my ($relations, $architecture, $kind, @profiles) = @ARGV;
my $parsed = deps_parse($relations, reduce_restrictions => 1, build_dep => 1, union => $kind eq "union",
    host_arch => $architecture, build_arch => $architecture, build_profiles => \\@profiles);
defined $parsed or die "the relations cannot be read\\n";
print $parsed->output();
"""
"""Without what does not count for this architecture and these profiles."""
_STATUS_OF_BASE = "/var/lib/dpkg/status-of-base"
_EXACTLY = ("-y", "--no-install-recommends", "--allow-downgrades", "install")
_NOTHING = "External solver failed with"
_OPTIONS = (
    "--solver",
    "aspcud",
    "-o",
    "APT::Solver::Strict-Pinning=false",
    "-o",
    "APT::Solver::aspcud::Preferences=-removed,-changed,-new",
    "-o",
    f"Dir::State::status={_STATUS_OF_BASE}",
)
"""The criteria are those of sbuild. What is installed is what the base has, not what the solver itself needs."""


class AspcudSolver:
    """Asks aspcud."""

    def __init__(self, buildroots: Buildroots, environment: dict[str, str]) -> None:
        self._buildroots = buildroots
        self._environment = environment

    async def choose(self, question: Question, below: Sequence[Path], steps: Steps) -> str:
        """What apt prints for the choice: addresses of packages to install, names of packages to remove.

        Raises:
            DeborchError: INVALID_INPUT if the suite has no aspcud, DEPENDENCY_WAIT if nothing can be chosen.
        """
        base, request = question.base, question.request
        if is_cross(request):
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                "aspcud does not resolve cross builds",
                hint="resolve by apt (--resolver apt)",
            )

        async def fill(sandbox: Sandbox) -> None:
            await self._install(sandbox, base, steps)

        async with once_layer(self._buildroots, base, _PURPOSE, fill, steps) as layer:
            return await self._ask(question, (layer, *below), steps)

    async def _ask(self, question: Question, layers: Sequence[Path], steps: Steps) -> str:
        base, request = question.base, question.request
        spec = self._buildroots.spec(
            f"{request.build_id}-solver", base, layers=layers, repositories=request.extra_sources
        )
        status = Bind(base.root / "var/lib/dpkg/status", _STATUS_OF_BASE)
        async with open_sandbox(replace(spec, binds=(*spec.binds, status))) as sandbox:
            await add_repositories(sandbox, request.extra_sources)
            put_file(sandbox, "Packages", (await self._stand_in(sandbox, question, steps)).encode())
            put_file(sandbox, "solver.list", f"deb [trusted=yes] file:{WORKSPACE} ./\n".encode())
            target = "/etc/apt/sources.list.d/solver.list"
            await steps.run(sandbox, ["cp", f"{WORKSPACE}/solver.list", target], quiet=True)
            if request.extra_sources:
                command = ["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"]
                await self._run(sandbox, command, "reading an extra repository", steps, network=True)
            only = ["-o", f"Dir::Etc::SourceList={target}", "-o", "Dir::Etc::SourceParts=-"]
            keep = ["-o", "APT::Get::List-Cleanup=false"]
            await self._run(sandbox, ["apt-get", "-q", *only, *keep, "update"], "reading the question", steps)
            command = [
                "apt-get",
                "-q",
                "-y",
                *apt_output.PRINT_DOWNLOADS,
                *_OPTIONS,
                "install",
                "--no-install-recommends",
                _STAND_IN,
            ]
            output = await self._run(sandbox, command, "resolving build dependencies by aspcud", steps)
        return "".join(line for line in output.splitlines(keepends=True) if f"/{_STAND_IN}.deb" not in line)

    async def _stand_in(self, sandbox: Sandbox, question: Question, steps: Steps) -> str:
        """The stanza of a package that depends on what is wanted: apt-cudf does not know what build-dep asks."""
        request, wanted = question.request, question.relations
        skipped = {"any": ("-Indep",), "all": ("-Arch",)}.get(request.mode, ())
        stanza = [f"Package: {_STAND_IN}", "Version: 1", f"Architecture: {request.architecture}"]
        for field, kind in (("Depends", "dep"), ("Conflicts", "union")):
            parts = [v for k, v in wanted.items() if k.startswith(f"Build-{field}") and not k.endswith(skipped)]
            if parts:
                argv = ["perl", "-MDpkg::Deps", "-e", _REDUCE, ", ".join(parts), request.architecture, kind]
                reduced = await steps.run(sandbox, [*argv, *profiles_of(request)], quiet=True)
                stanza.append(f"{field}: {reduced.output.decode('utf-8', 'replace').replace(':native', '')}")
        return "\n".join((*stanza, f"Filename: ./{_STAND_IN}.deb", "Size: 1", f"SHA256: {'0' * 64}", "", ""))

    async def _install(self, sandbox: Sandbox, base: Base, steps: Steps) -> None:
        """Downloads have the network, maintainer scripts do not."""
        steps.say("installing aspcud in a layer of its own, once for this base")
        for words, network in ((("--download-only",), True), ((), False)):
            command = ["apt-get", "-q", "-y", *words, "install", *_PACKAGES]
            result = await steps.run(sandbox, command, env=self._environment, network=network, check=False)
            output = result.output.decode("utf-8", "replace")
            if result.returncode != 0 and apt_output.unmet_relations(output):
                raise failure(
                    FailureClass.POLICY,
                    ErrorCode.INVALID_INPUT,
                    f"{base.suite} has no {' and '.join(_PACKAGES)} that can be installed",
                    hint="resolve by apt (--resolver apt), or build for a suite that has them, such as bookworm",
                )
            if result.returncode != 0:
                raise apt_output.explain(output, doing="installing aspcud", otherwise=FailureClass.CHROOT)
        await steps.run(sandbox, ["apt-get", "clean"], quiet=True)

    async def _run(
        self, sandbox: Sandbox, argv: Sequence[str], doing: str, steps: Steps, *, network: bool = False
    ) -> str:
        result = await steps.run(sandbox, argv, env=self._environment, network=network, quiet=not network, check=False)
        output = result.output.decode("utf-8", "replace")
        if result.returncode == 0:
            return output
        steps.log(result.output)
        if _NOTHING in output or apt_output.unmet_relations(output):
            raise failure(
                FailureClass.DEPENDENCY_WAIT,
                ErrorCode.DEPENDENCY_WAIT,
                "aspcud finds no set of packages that meets the build dependencies",
                hint="deb-mock explain says why; build or add what is missing",
                missing=list(apt_output.unmet_relations(output)),
            )
        raise apt_output.explain(output, doing=doing, otherwise=FailureClass.CHROOT)


def exact_arguments(answer: Answer) -> tuple[str, ...]:
    """What to tell apt-get so that it does what was chosen: NAME:ARCH=VERSION, and NAME- to remove.

    Files are named as apt writes them: NAME_VERSION_ARCH.deb, with `%3a` for `:`.
    """
    words = list(_EXACTLY)
    for name, _, _ in answer.files:
        package, version, architecture = unquote(name).removesuffix(".deb").split("_")
        words.append(f"{package}={version}" if architecture == "all" else f"{package}:{architecture}={version}")
    return (*words, *(f"{name}-" for name in answer.removed))
