"""apt-get in a sandbox, for build dependencies: what would be installed, fetching it, installing it."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deb_mock.archives import apt_output
from deb_mock.archives.release import state_of_digests
from deb_mock.archives.repositories import add_repository
from deb_mock.dependencies.question import Question
from deb_mock.failures import FailureClass
from deb_mock.layers.store import File, digest_of
from deb_mock.model import ExtraRepository
from deb_mock.stages.steps import Steps
from deborch_shared.apt.host import without_proxies
from deborch_shared.apt.redaction import redacted
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import Sandbox

_KEEP_ALL_LISTS = ("-o", "APT::Get::List-Cleanup=false")
_ARCHIVES = "/var/cache/apt/archives"
_STANZA = re.compile(r"\n\n+")
_INSTALLED_AS = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+)_(?P<architecture>[^_.]+)\.u?deb\Z")


AroundApt = Callable[[list[str]], AbstractAsyncContextManager[list[str]]]
"""Entered around each command of apt with its command line; what it yields is run."""


class AptPlugins(Protocol):
    """What plug-ins do to apt."""

    @property
    def apt_settings(self) -> tuple[str, ...]:
        """Options that they add to each command line; other ones may lead to other packages."""
        ...

    def apt(self, argv: list[str]) -> AbstractAsyncContextManager[list[str]]:
        """An `AroundApt`."""
        ...


@asynccontextmanager
async def unchanged(argv: list[str]) -> AsyncIterator[list[str]]:
    """Nothing around it."""
    yield argv


class _NoPlugins:
    """Leaves apt as it is."""

    apt_settings = ()

    def apt(self, argv: list[str]) -> AbstractAsyncContextManager[list[str]]:
        return unchanged(argv)


NO_PLUGINS: AptPlugins = _NoPlugins()


@dataclass(frozen=True, slots=True)
class Answer:
    """What apt would do on the base."""

    files: tuple[File, ...]
    removed: tuple[str, ...]
    """Packages of the base that have to go (Build-Conflicts)."""
    settings: tuple[str, ...] = ()
    """Of apt, that shape what the packages install: `Question.dpkg_settings`."""

    @property
    def layer(self) -> str:
        """The name of the layer; empty if nothing has to be done."""
        if not self.files and not self.removed:
            return ""
        if self.settings:
            return digest_of([self.files, self.removed, self.settings])
        return digest_of([self.files, self.removed] if self.removed else self.files)


class DependencyApt:
    """apt-get in one sandbox."""

    def __init__(
        self, sandbox: Sandbox, steps: Steps, environment: Mapping[str, str], around: AroundApt = unchanged
    ) -> None:
        self._sandbox = sandbox
        self._around = around
        self._steps = steps
        self._environment = environment
        self.refreshed = False

    async def add_repositories(self, repositories: Sequence[ExtraRepository], base_root: Path) -> str:
        """Make the extra repositories known and read their indices; the state of those, as `release.state_of` has it
        if all of them have an InRelease."""
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
        found = [line.split() for line in (await self._run(command, "reading indices", quiet=True)).splitlines()]
        extra = [(path, known) for known, path in found if not (base_root / path.lstrip("/")).exists()]
        return state_of_digests(known for _, known in extra)

    async def resolve(self, question: Question) -> Answer:
        """What to install. If it cannot be had, once more with fresh lists of the Debian suite."""
        command = ["apt-get", "-q", *apt_output.PRINT_DOWNLOADS, *question.arguments]
        try:
            return answer_of(await self._run(command, "resolving build dependencies", quiet=True))
        except DeborchError as error:
            if error.fields.get("failure_class") != FailureClass.DEPENDENCY_WAIT:
                raise
        await self._refresh()
        return answer_of(await self._run(command, "resolving build dependencies", quiet=True))

    async def have_archives(self, directory: str, names: Sequence[str]) -> None:
        """Files of `directory` count as downloaded: apt asks for their sizes only, so they must be verified."""
        if names:
            paths = [f"{directory}/{name}" for name in names]
            await self._run(["ln", "-s", "-t", _ARCHIVES, "--", *paths], "offering cached packages", quiet=True)

    async def download(self, arguments: Sequence[str]) -> None:
        """Fetch with the network what is not there yet. (`--no-download` would refuse `file:` repositories.)"""
        command = ["apt-get", "-q", *arguments, "--download-only"]
        try:
            await self._run(command, "downloading build dependencies", network=True)
        except DeborchError as error:
            if self.refreshed or error.fields.get("failure_class") != FailureClass.FETCH:
                raise
            await self._refresh()
            await self._run(command, "downloading build dependencies", network=True)

    async def install(self, arguments: Sequence[str]) -> None:
        """Install without the network."""
        doing = "installing build dependencies"
        await self._run(["apt-get", "-q", *arguments], doing, otherwise=FailureClass.INSTALL)
        await self._run(["apt-get", "clean"], doing, quiet=True)

    async def installed(self) -> frozenset[str]:
        """The names of the packages that are installed now."""
        return installed_names(await self._run(["cat", "/var/lib/dpkg/status"], "reading dpkg's status", quiet=True))

    async def _refresh(self) -> None:
        self._steps.say("the package lists of the base may be old; reading them anew")
        await self._run(["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"], "reading package lists", network=True)
        self.refreshed = True

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
                self._sandbox, command, env=self._variables(network), network=network, quiet=quiet, check=False
            )
        output = result.output.decode("utf-8", "replace")
        if result.returncode == 0:
            return output
        if quiet:
            self._steps.log(redacted(output).encode())
        raise apt_output.explain(redacted(output), doing=doing, otherwise=otherwise)

    def _variables(self, network: bool) -> Mapping[str, str]:
        """Maintainer scripts, which have no network, do not see through which proxies apt fetches."""
        return self._environment if network else without_proxies(self._environment)


def installed_names(status: str) -> frozenset[str]:
    """The packages that a dpkg status file has as installed, as name:architecture."""
    found = []
    for stanza in _STANZA.split(status):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found.append(f"{fields.get('Package', '')}:{fields.get('Architecture', '')}")
    return frozenset(found)


def names_of(files: Sequence[File]) -> frozenset[str]:
    """What will be installed from `files`, as name:architecture."""
    matches = (_INSTALLED_AS.match(name) for name, _, _ in files)
    return frozenset(f"{match['name']}:{match['architecture']}" for match in matches if match)


def answer_of(output: str) -> Answer:
    """What `apt-get --print-uris` says it would do."""
    return Answer(apt_output.downloads(output), apt_output.removals(output))
