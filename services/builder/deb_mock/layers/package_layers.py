"""Packages beside the build dependencies, as cached layers: tools for a check, or the exact set of a .buildinfo.

A layer is named by what apt would fetch, and by the layers that it lies on. As with build dependencies, downloads have
the network, and maintainer scripts do not.
"""

import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_mock.archives import apt_output
from deb_mock.archives.repositories import add_repositories
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.installed import QUERY, ExactVersion, InstalledPackage, installed_packages
from deb_mock.layers.store import Answers, LayerContents, LayerStore, removed_meanwhile
from deb_mock.model import Base, ExactSet, ExtraRepository
from deb_mock.stages.steps import Steps
from deborch_shared.apt.host import without_proxies
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import Sandbox, open_sandbox

_INSTALL = ("-y", "--no-install-recommends", "--allow-downgrades", "install")
_OFFERED = re.compile(r"^\s*(?P<name>\S+) \|\s*(?P<version>\S+) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PackageLayer:
    """The layers with the packages, nearest first, and those that could not be had."""

    layers: tuple[Path, ...]
    missing: tuple[ExactVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    """On what packages are installed, and from where."""

    base: Base
    store: LayerStore
    under: tuple[Path, ...]
    repositories: tuple[ExtraRepository, ...]
    steps: Steps


class PackageLayers:
    """Finds or makes the layer for a list of packages."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._environment = {**apt_output.APT_ENVIRONMENT, **config.proxies}
        self._buildroots = buildroots

    @asynccontextmanager
    async def with_tools(
        self, base: Base, under: Sequence[Path], tools: Sequence[str], steps: Steps
    ) -> AsyncIterator[PackageLayer]:
        """`under`, and above it the newest versions of `tools` in the suite. Nobody removes them meanwhile.

        Raises:
            DeborchError: DEPENDENCY_WAIT, FETCH_FAILED or CHROOT_FAILED
        """
        store, below = self._store(base), tuple(under)
        answers = Answers(store.directory)
        key = _digest(["tools", base.name, [path.name for path in below], sorted(tools)])
        async with AsyncExitStack() as held:
            if not held.enter_context(store.in_use(below)):
                raise removed_meanwhile()
            known = answers.get(key)
            chain = await held.enter_async_context(store.found(known)) if known else below if known == "" else None
            if chain is None:
                chain = await self._made(_Work(base, store, below, (), steps), tools, held)
                answers.put(key, chain[0].name if chain != below else "")
            yield PackageLayer(chain)

    @asynccontextmanager
    async def exactly(
        self, base: Base, wanted: ExactSet, repositories: Sequence[ExtraRepository], steps: Steps
    ) -> AsyncIterator[PackageLayer]:
        """A layer with exactly the versions of `wanted`, from the suite and `repositories`. Nobody removes it
        meanwhile.

        Raises:
            DeborchError: DEPENDENCY_WAIT with `missing` if a version cannot be had and only it will do.
        """
        work = _Work(base, self._store(base), (), tuple(repositories), steps)
        async with AsyncExitStack() as stack:
            apt, _ = await self._opened(stack, work)
            present, offered = await apt.installed(), await apt.offered(each.name for each in wanted.packages)
        there = {(each.name, each.version) for each in present}
        to_install = [each for each in wanted.packages if (each.name, each.version) not in there]
        missing = tuple(each for each in to_install if (each.name, each.version) not in offered)
        _refuse_missing(missing, wanted, {name for name, _ in offered | there})
        names = {name for name, _ in there}
        arguments = [each.for_apt() for each in to_install if each not in missing]
        arguments += [each.name for each in missing if each.name not in names]
        for each in missing:
            steps.say(f"{each.for_apt()} cannot be had; the nearest version is taken")
        async with AsyncExitStack() as held:
            yield PackageLayer(await self._made(work, arguments, held) if arguments else (), missing)

    async def available(self, base: Base, names: Sequence[str], steps: Steps) -> frozenset[str]:
        """Which of `names` the suite has."""
        async with AsyncExitStack() as stack:
            apt, _ = await self._opened(stack, _Work(base, self._store(base), (), (), steps))
            return frozenset(name for name, _ in await apt.offered(names))

    def _store(self, base: Base) -> LayerStore:
        store = LayerStore(self._buildroots.layers_of(base))
        store.directory.mkdir(parents=True, exist_ok=True)
        return store

    async def _opened(self, stack: AsyncExitStack, work: _Work, upper: Path | None = None) -> tuple["_Apt", Sandbox]:
        spec = self._buildroots.spec(
            "packages", work.base, layers=work.under, upper=upper, repositories=work.repositories
        )
        with failures_are(FailureClass.CHROOT):
            sandbox = await stack.enter_async_context(open_sandbox(spec))
        apt = _Apt(sandbox, work.steps, self._environment)
        await add_repositories(sandbox, work.repositories)
        if work.repositories:
            await apt.run([*apt_output.STRICT_UPDATE, "update"], "reading extra repositories", network=True)
        return apt, sandbox

    async def _made(self, work: _Work, packages: Sequence[str], held: AsyncExitStack) -> tuple[Path, ...]:
        """The layers with `packages`, found or made; apt is asked in the sandbox that would become the layer."""
        store, command = work.store, [*_INSTALL, *packages]
        upper = store.directory / f".new-packages-{secrets.token_hex(8)}"
        async with AsyncExitStack() as stack:
            apt, sandbox = await self._opened(stack, work, upper)
            printed = await apt.run([*apt_output.PRINT_DOWNLOADS, *command], "resolving packages", quiet=True)
            needed = apt_output.downloads(printed)
            if not needed:
                return work.under

            async def make(target: Path) -> LayerContents:
                await apt.run(["--download-only", *command], "downloading packages", network=True)
                await apt.run(command, "installing packages", otherwise=FailureClass.INSTALL)
                await apt.run(["clean"], "installing packages")
                sandbox.keep_changes_as(target)
                await stack.aclose()
                below = [file for path in work.under if (known := store.marker(path.name)) for file in known.files]
                return LayerContents((*needed, *below), tuple(path.name for path in work.under))

            layer = _digest(["packages", [path.name for path in work.under], needed])[:32]
            waiting = "another process installs the same packages; waiting for it"
            making = store.made_once(layer, make, on_wait=lambda: work.steps.say(waiting))
            return (await held.enter_async_context(making)).chain


class _Apt:
    """apt in a sandbox."""

    def __init__(self, sandbox: Sandbox, steps: Steps, environment: dict[str, str]) -> None:
        self._sandbox = sandbox
        self._steps = steps
        self._environment = environment

    async def run(
        self,
        arguments: Sequence[str],
        doing: str,
        *,
        network: bool = False,
        quiet: bool = False,
        otherwise: FailureClass = FailureClass.CHROOT,
    ) -> str:
        argv = ["apt-get", "-q", *arguments]
        environment = self._environment if network else without_proxies(self._environment)
        result = await self._steps.run(self._sandbox, argv, env=environment, network=network, quiet=quiet, check=False)
        output = result.output.decode("utf-8", "replace")
        if result.returncode != 0:
            raise apt_output.explain(output, doing=doing, otherwise=otherwise)
        return output

    async def installed(self) -> tuple[InstalledPackage, ...]:
        result = await self._steps.run(self._sandbox, QUERY, quiet=True)
        return installed_packages(result.output.decode("utf-8", "replace"))

    async def offered(self, names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Names and versions that the archives have of `names`."""
        argv = ["apt-cache", "madison", "--", *names]
        result = await self._steps.run(self._sandbox, argv, quiet=True, check=False)
        found = _OFFERED.finditer(result.output.decode("utf-8", "replace"))
        return frozenset((match["name"], match["version"]) for match in found)


def _refuse_missing(missing: Sequence[ExactVersion], wanted: ExactSet, known: set[str]) -> None:
    hopeless = [each for each in missing if each.name not in known] if wanted.or_nearest else list(missing)
    if hopeless:
        names = [each.for_apt() for each in hopeless]
        raise failure(
            FailureClass.DEPENDENCY_WAIT,
            ErrorCode.DEPENDENCY_WAIT,
            f"{len(names)} packages of the .buildinfo cannot be had: {', '.join(names)}",
            hint="name an archive that has them (--snapshot, --extra-repository), or take other versions (--nearest)",
            missing=names,
        )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
