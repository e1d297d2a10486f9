"""Why build dependencies cannot be installed: apt is asked, then asked again about each package that it refuses.

Nothing is installed and nothing is kept. The lists of the suite are read anew, so that the answer is of today.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from deb_mock.archives import apt_output
from deb_mock.archives.archive import archive_sources
from deb_mock.archives.repositories import WORKSPACE, add_repositories, put_file
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.dependencies import cross
from deb_mock.dependencies.question import Question
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass
from deb_mock.model import Base, BuildRequest
from deb_mock.plans import relations
from deb_mock.stages.steps import Steps
from deborch_shared import versions
from deborch_shared.apt.host import read_host_apt
from deborch_shared.apt.unmet import UnmetLine, Why, quarrels, unmet_lines
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sources import SourceDescription

_NAME = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::(?P<architecture>[a-z0-9-]+))?")
_VERSIONED = re.compile(r"\((?P<operator><<|<=|=|>=|>>) (?P<version>[^\s)]+)\)")
_DEEPEST = 8
_MOST_QUESTIONS = 60
_SIMULATE = ("apt-get", "-q", "-s", "-o", "APT::Solver=internal", "-o", "Debug::pkgProblemResolver=1")
_KEEP = ("-o", "APT::Get::List-Cleanup=false")
_ELSEWHERE = "elsewhere.list"


@dataclass(frozen=True, slots=True)
class Available:
    """A version of a package, and the suite or repository that has it."""

    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class Unmet:
    """A relation that cannot be met, and what that is because of."""

    relation: str
    why: Why
    available: tuple[Available, ...] = ()
    """Versions that apt knows."""
    elsewhere: tuple[Available, ...] = ()
    """Versions in the other suites that were asked to be looked into."""
    because: tuple["Unmet", ...] = ()
    quarrels: tuple[str, ...] = ()
    """Who breaks or conflicts with whom, as apt's problem resolver says."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer for one source package."""

    source: str
    version: str
    suite: str
    architecture: str
    installable: bool
    unmet: tuple[Unmet, ...] = ()
    not_read: tuple["NotRead", ...] = ()


@dataclass(frozen=True, slots=True)
class NotRead:
    """A suite that was to be looked into and could not be read; the rest of the answer holds without it."""

    suite: str
    reason: str


class Explainer:
    """Explains, in a sandbox of its own for each source."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._config = config
        self._environment = {**apt_output.APT_ENVIRONMENT, **config.proxies}
        self._buildroots = buildroots
        self._foreign = cross.ForeignIndices(buildroots, self._environment)

    async def explain(
        self, base: Base, source: SourceDescription, request: BuildRequest, look_in: Sequence[str], steps: Steps
    ) -> Explanation:
        """Whether the build dependencies of `source` can be installed, and if not, why.

        Raises:
            DeborchError: FETCH_FAILED if a list of the suite itself cannot be read.
        """
        question = Question(base, source, request)
        async with AsyncExitStack() as held:
            below = await held.enter_async_context(self._foreign.layers(base, request, steps))
            spec = self._buildroots.spec(
                f"{request.build_id}-explain", base, layers=below, repositories=request.extra_sources
            )
            sandbox = await held.enter_async_context(open_sandbox(spec))
            apt = _Inquiry(sandbox, steps, self._environment, request.host_architecture or request.architecture)
            put_file(sandbox, relations.NAME_INSIDE, question.dsc)
            await add_repositories(sandbox, request.extra_sources)
            await apt.update(())
            output = await apt.simulate(question.arguments)
            found = await apt.explained(unmet_lines(output), 0) if output else ()
            not_read: list[NotRead] = []
            for suite in look_in if found else ():
                try:
                    found = await self._looked_up(apt, base, found, suite)
                except DeborchError as error:
                    not_read.append(NotRead(suite, error.message))
        host = request.host_architecture or request.architecture
        answer = Explanation(source.name, source.version, request.suite, host, installable=output is None)
        return replace(answer, unmet=found, not_read=tuple(not_read))

    async def _looked_up(self, apt: "_Inquiry", base: Base, found: tuple[Unmet, ...], suite: str) -> tuple[Unmet, ...]:
        host = await read_host_apt()
        lines = [
            f"deb [signed-by={self._config.keyring}] {source.uri} {source.suite} {' '.join(source.components)}\n"
            for source in archive_sources(host, self._config, suite, base.components)
        ]
        put_file(apt.sandbox, _ELSEWHERE, "".join(lines).encode())
        only = ("-o", f"Dir::Etc::SourceList={WORKSPACE}/{_ELSEWHERE}", "-o", "Dir::Etc::SourceParts=-")
        await apt.update(only)
        known = await apt.versions(_names(found), only)
        return tuple(_with_elsewhere(one, known) for one in found)


class _Inquiry:
    """apt in one sandbox, asked again and again."""

    def __init__(self, sandbox: Sandbox, steps: Steps, environment: dict[str, str], architecture: str) -> None:
        self.sandbox = sandbox
        self._steps = steps
        self._environment = environment
        self._architecture = architecture
        self._seen: set[str] = set()

    async def update(self, only: Sequence[str]) -> None:
        """Read the lists anew, all or `only` some."""
        command = ["apt-get", "-q", *apt_output.STRICT_UPDATE, *only, *(_KEEP if only else ()), "update"]
        result = await self._steps.run(self.sandbox, command, env=self._environment, network=True, check=False)
        if result.returncode != 0:
            output = result.output.decode("utf-8", "replace")
            raise apt_output.explain(output, doing="reading package lists", otherwise=FailureClass.FETCH)

    async def simulate(self, arguments: Sequence[str]) -> str | None:
        """What apt says if it cannot; None if it can."""
        result = await self._steps.run(
            self.sandbox, [*_SIMULATE, *arguments], env=self._environment, quiet=True, check=False
        )
        return None if result.returncode == 0 else result.output.decode("utf-8", "replace")

    async def explained(self, lines: Iterable[UnmetLine], depth: int) -> tuple[Unmet, ...]:
        """Each relation of the first package of `lines`, with what it is because of."""
        lines = list(lines)
        mine = [line for line in lines if line.package == lines[0].package]
        known = await self.versions([line.relation for line in mine], ())
        found: list[Unmet] = []
        alternatives: list[Unmet] = []
        for line in mine:
            alternatives.append(await self._explained(line, known, depth))
            if line.last:
                found.append(_either(alternatives))
                alternatives = []
        return tuple(found)

    async def _explained(self, line: UnmetLine, known: dict[str, tuple[Available, ...]], depth: int) -> Unmet:
        name = _package(line.relation)
        unmet = Unmet(line.relation, line.why, known.get(name, known.get(name.partition(":")[0], ())))
        if line.why not in (Why.UNINSTALLABLE, Why.VERSION):
            return unmet
        fitting = [one.version for one in unmet.available if satisfies(one.version, line.relation)]
        if not fitting:
            return replace(unmet, why=Why.VERSION if unmet.available else Why.MISSING)
        if depth >= _DEEPEST or len(self._seen) >= _MOST_QUESTIONS or line.relation in self._seen:
            return unmet
        self._seen.add(line.relation)
        output = await self.simulate(["--no-install-recommends", "install", f"{name}={fitting[0]}"])
        if output is None:
            return replace(unmet, why=Why.CONFLICT)
        because = await self.explained(unmet_lines(output), depth + 1)
        return replace(unmet, why=Why.UNINSTALLABLE, because=because, quarrels=quarrels(output))

    async def versions(self, names: Iterable[str], only: Sequence[str]) -> dict[str, tuple[Available, ...]]:
        """What apt knows of each package."""
        wanted = sorted({_package(name) for name in names})
        if not wanted:
            return {}
        result = await self._steps.run(
            self.sandbox, ["apt-cache", *only, "madison", *wanted], env=self._environment, quiet=True, check=False
        )
        found: dict[str, dict[Available, None]] = {}
        for line in result.output.decode("utf-8", "replace").splitlines():
            name, _, rest = line.partition(" | ")
            version, _, origin = rest.partition(" | ")
            if origin.endswith(" Packages"):
                found.setdefault(name.strip(), {})[Available(version.strip(), origin.removesuffix(" Packages"))] = None
        return {name: tuple(versions) for name, versions in found.items()}


def satisfies(version: str, relation: str) -> bool:
    """Whether `version` is one that `relation` allows (deb-control(5)); the package is not looked at."""
    wanted = _VERSIONED.search(relation)
    if wanted is None:
        return True
    order = versions.compare(version, wanted["version"])
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[wanted["operator"]]


def _either(alternatives: Sequence[Unmet]) -> Unmet:
    """Alternatives as one relation, missing if all of them are."""
    if len(alternatives) == 1:
        return alternatives[0]
    why = Why.MISSING if all(one.why is Why.MISSING for one in alternatives) else Why.UNINSTALLABLE
    return Unmet(" | ".join(one.relation for one in alternatives), why, because=tuple(alternatives))


def _package(relation: str) -> str:
    match = _NAME.match(relation)
    return match[0] if match else relation


def _names(found: Iterable[Unmet]) -> set[str]:
    names: set[str] = set()
    for one in found:
        names |= {_package(one.relation)} | _names(one.because)
    return names


def _with_elsewhere(unmet: Unmet, known: dict[str, tuple[Available, ...]]) -> Unmet:
    return replace(
        unmet,
        elsewhere=(*unmet.elsewhere, *known.get(_package(unmet.relation), ())),
        because=tuple(_with_elsewhere(one, known) for one in unmet.because),
    )
