"""Build dependencies as cached layers.

apt says exactly which files it would install on the base for a .dsc; that list names a layer. A layer is made
once, in a sandbox whose changes are kept: downloads with the network, unpacking and maintainer scripts without.
What apt said is remembered for a set of relations, so that a second build does not ask again; with extra
repositories the digest of their indices is part of the question.
"""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deb_mock import apt_output
from deb_mock.buildroot import Buildroots
from deb_mock.failures import FailureClass, failures_are
from deb_mock.model import Base, BuildRequest, EngineConfig, ExtraRepository
from deb_mock.repositories import WORKSPACE, add_repository, put_file
from deb_mock.source import SourcePackage
from deb_mock.steps import Steps
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import Sandbox, open_sandbox

_MODE_OPTIONS = {"any+all": (), "any": ("--arch-only",), "all": ("--indep-only",)}
_NO_CACHED_ARCHIVES = ("-o", "Dir::Cache::archives=/tmp/")
"""Otherwise files that apt has already are missing in what it prints."""
_KEEP_ALL_LISTS = ("-o", "APT::Get::List-Cleanup=false")

AroundApt = Callable[[list[str]], AbstractAsyncContextManager[list[str]]]
"""Entered around each command of apt with its command line; what it yields is run."""


@asynccontextmanager
async def _unchanged(argv: list[str]) -> AsyncIterator[list[str]]:
    yield argv


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The layers to build on, nearest first, and whether they were there already."""

    layers: tuple[Path, ...]
    cache: Literal["hit", "miss"]


@dataclass(frozen=True, slots=True)
class _Question:
    """Everything that apt's answer depends on."""

    package: SourcePackage
    request: BuildRequest

    @property
    def options(self) -> tuple[str, ...]:
        profiles = ",".join(self.request.profiles)
        return (*_MODE_OPTIONS[self.request.mode], *(("-P", profiles) if profiles else ()))

    def key(self, index_digest: str) -> str:
        relations = sorted(self.package.description.relations.items())
        return _digest([relations, self.options, self.request.architecture, index_digest])


class DependencyResolver:
    """Finds or makes the layer for a source package."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._environment = {**apt_output.APT_ENVIRONMENT, **config.proxies}
        self.proxies = config.proxies
        self._buildroots = buildroots

    async def provide(
        self,
        base: Base,
        package: SourcePackage,
        request: BuildRequest,
        steps: Steps,
        around_apt: AroundApt = _unchanged,
    ) -> Dependencies:
        """The layers with the build dependencies of `package`.

        Raises:
            DeborchError: DEPENDENCY_WAIT with `missing`, FETCH_FAILED, or CHROOT_FAILED if a package does not install.
        """
        question = _Question(package, request)
        directory = self._buildroots.layers_of(base)
        directory.mkdir(parents=True, exist_ok=True)
        if not request.extra_sources:
            known = _remembered(directory, question.key(""))
            if known is not None:
                return known
        return await self._ask(base, question, directory, steps, around_apt)

    async def _ask(
        self, base: Base, question: _Question, directory: Path, steps: Steps, around_apt: AroundApt
    ) -> Dependencies:
        request = question.request
        upper = directory / f".new-{request.build_id}-{secrets.token_hex(4)}"
        spec = self._buildroots.spec(f"{request.build_id}-deps", base, upper=upper, repositories=request.extra_sources)
        async with AsyncExitStack() as stack:
            with failures_are(FailureClass.CHROOT):
                sandbox = await stack.enter_async_context(open_sandbox(spec))
            apt = _Apt(sandbox, steps, self._environment, around_apt)
            put_file(sandbox, question.package.dsc.name, question.package.text)
            index_digest = await apt.add_repositories(request.extra_sources)
            key = question.key(index_digest)
            known = _remembered(directory, key)
            if known is not None:
                return known
            needed = await apt.resolve(question)
            layer = directory / _digest(needed)[:32]
            if needed and not layer.is_dir():
                await apt.install(question)
                sandbox.keep_changes_as(layer)
                cache: Literal["hit", "miss"] = "miss"
            else:
                cache = "hit"
        layers = (layer,) if needed else ()
        if not apt.refreshed:
            _remember(directory, key, layers)
        return Dependencies(layers, cache)


class _Apt:
    """apt-get in a sandbox."""

    def __init__(self, sandbox: Sandbox, steps: Steps, environment: dict[str, str], around: AroundApt) -> None:
        self._sandbox = sandbox
        self._steps = steps
        self._environment = environment
        self._around = around
        self.refreshed = False

    async def add_repositories(self, repositories: Sequence[ExtraRepository]) -> str:
        """Make the extra repositories known and read their indices; the digest of those."""
        for repository in repositories:
            target = await add_repository(self._sandbox, repository)
            only_it = ["-o", f"Dir::Etc::SourceList={target}", "-o", "Dir::Etc::SourceParts=-", *_KEEP_ALL_LISTS]
            await self._run(
                ["apt-get", "-q", *apt_output.STRICT_UPDATE, *only_it, "update"],
                "reading an extra repository",
                network=True,
            )
        if not repositories:
            return ""
        command = ["find", "/var/lib/apt/lists", "-maxdepth", "1", "-name", "*Release", "-exec", "sha256sum", "{}", "+"]
        return _digest(sorted((await self._run(command, "reading indices", quiet=True)).splitlines()))

    async def resolve(self, question: _Question) -> tuple[tuple[str, str, str], ...]:
        """The files to install. If they cannot be had, once more with fresh lists of the Debian suite."""
        command = ["apt-get", "-q", "--print-uris", *_NO_CACHED_ARCHIVES, *self._build_dep(question)]
        try:
            return apt_output.downloads(await self._run(command, "resolving build dependencies", quiet=True))
        except DeborchError as error:
            if error.fields.get("failure_class") != FailureClass.DEPENDENCY_WAIT:
                raise
        await self._refresh()
        return apt_output.downloads(await self._run(command, "resolving build dependencies", quiet=True))

    async def install(self, question: _Question) -> None:
        """Download with the network, then install without. (`--no-download` would refuse `file:` repositories.)"""
        command = ["apt-get", "-q", *self._build_dep(question)]
        try:
            await self._run([*command, "--download-only"], "downloading build dependencies", network=True)
        except DeborchError as error:
            if self.refreshed or error.fields.get("failure_class") != FailureClass.FETCH:
                raise
            await self._refresh()
            await self._run([*command, "--download-only"], "downloading build dependencies", network=True)
        doing = "installing build dependencies"
        await self._run(command, doing, otherwise=FailureClass.INSTALL)
        await self._run(["apt-get", "clean"], doing)

    async def _refresh(self) -> None:
        self._steps.say("the package lists of the base may be old; reading them anew")
        await self._run(["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"], "reading package lists", network=True)
        self.refreshed = True

    @staticmethod
    def _build_dep(question: _Question) -> list[str]:
        return ["-y", *question.options, "build-dep", f"{WORKSPACE}/{question.package.dsc.name}"]

    async def _run(
        self,
        argv: list[str],
        doing: str,
        *,
        network: bool = False,
        quiet: bool = False,
        otherwise: FailureClass = FailureClass.CHROOT,
    ) -> str:
        """Output of `argv`; with `quiet` it goes to the log only if it fails."""
        async with self._around(argv) as command:
            result = await self._steps.run(
                self._sandbox, command, env=self._environment, network=network, quiet=quiet, check=False
            )
        output = result.output.decode("utf-8", "replace")
        if result.returncode == 0:
            return output
        if quiet:
            self._steps.log(result.output)
        raise apt_output.explain(output, doing=doing, otherwise=otherwise)


def _remembered(directory: Path, key: str) -> Dependencies | None:
    try:
        names = json.loads((directory / f"{key}.answer").read_text())
    except FileNotFoundError:
        return None
    layers = tuple(directory / name for name in names)
    return Dependencies(layers, "hit") if all(layer.is_dir() for layer in layers) else None


def _remember(directory: Path, key: str, layers: tuple[Path, ...]) -> None:
    temporary = directory / f".{key}.{secrets.token_hex(4)}"
    temporary.write_text(json.dumps([layer.name for layer in layers]))
    temporary.rename(directory / f"{key}.answer")


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
