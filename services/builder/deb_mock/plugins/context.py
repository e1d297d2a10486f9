"""The objects that plug-ins are given, made of the engine's own."""

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deb_mock.archives.repositories import WORKSPACE, put_file
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BUILD_UID, BUILD_USER, Artifact, Base, BuildRequest
from deb_mock.results.directory import ResultDirectory, kind_of
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sources import SourceDescription, check_file_name


@dataclass(slots=True)
class BuildFacts:
    """What is known of a build so far; one for all plug-ins."""

    request: BuildRequest
    config: EngineConfig
    steps: Steps
    scratch: Path
    """Parent of the plug-ins' own scratch directories; made when the first asks, removed by the manager."""
    log: Path
    source: SourceDescription | None = None
    base: Base | None = None
    build_environment: Mapping[str, str] = field(default_factory=dict)
    started_at_s: float = field(default_factory=time.time)


class PluginBuild:
    """`api.BuildContext` for one plug-in."""

    def __init__(self, plugin: str, facts: BuildFacts) -> None:
        self._plugin = plugin
        self._facts = facts

    @property
    def request(self) -> BuildRequest:
        return self._facts.request

    @property
    def config(self) -> EngineConfig:
        return self._facts.config

    @property
    def source(self) -> SourceDescription | None:
        return self._facts.source

    @property
    def base(self) -> Base | None:
        return self._facts.base

    @property
    def build_environment(self) -> Mapping[str, str]:
        return self._facts.build_environment

    @property
    def log(self) -> Path:
        return self._facts.log

    @property
    def started_at_s(self) -> float:
        return self._facts.started_at_s

    def say(self, line: str) -> None:
        self._facts.steps.say(f"{self._plugin}: {line}")

    def cache_directory(self, *, for_build_user: bool = False) -> Path:
        request = self._facts.request
        directory = self.config.cache_dir / "plugins" / self._plugin / f"{request.suite}-{request.architecture}"
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.config.cache_dir / "plugins").chmod(0o700)
        directory.mkdir(exist_ok=True)
        if for_build_user and os.geteuid() == 0:
            os.chown(directory, BUILD_UID, BUILD_UID)
        return directory

    def scratch_directory(self) -> Path:
        self._facts.scratch.mkdir(mode=0o700, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{self._plugin}-", dir=self._facts.scratch))


class OpenBuildroot:
    """`api.Buildroot` over a sandbox."""

    def __init__(self, sandbox: Sandbox, steps: Steps, proxies: Mapping[str, str], workspace: str = WORKSPACE) -> None:
        self.workspace = workspace
        self._sandbox = sandbox
        self._steps = steps
        self._proxies = proxies

    async def run(
        self,
        argv: Sequence[str],
        *,
        as_root: bool = False,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        quiet: bool = False,
        check: bool = True,
    ) -> ProcessResult:
        user = {} if as_root else {"USER": BUILD_USER, "LOGNAME": BUILD_USER}
        environment = {**(self._proxies if network else {}), **user, **(env or {})}
        if network:
            self._steps.say(f"a plug-in lets {argv[0]} use the network")
        return await self._steps.run(
            self._sandbox,
            argv,
            uid=0 if as_root else BUILD_UID,
            cwd=cwd,
            env=environment,
            network=network,
            quiet=quiet,
            check=check,
        )

    def put(self, name: str, content: bytes) -> None:
        check_file_name(name, "a plug-in")
        put_file(self._sandbox, name, content)

    def take(self, name: str, *, limit_bytes: int = 64 << 20) -> bytes:
        check_file_name(name, "a plug-in")
        return _read_plain_file(self._sandbox.workspace_fd, name, limit_bytes)


class CollectedResults:
    """`api.Results` over a result directory that is not published yet."""

    def __init__(self, directory: ResultDirectory, artifacts: Sequence[Artifact]) -> None:
        self._directory = directory
        self.artifacts = tuple(artifacts)
        self._built = frozenset(artifact.name for artifact in artifacts)

    def path(self, artifact: Artifact) -> Path:
        return self._directory.unfinished / artifact.name

    def include(self, artifact: Artifact) -> None:
        """An artifact that is in the directory already."""
        self.artifacts = (*self.artifacts, artifact)

    def add(self, name: str, content: bytes) -> Artifact:
        artifact = self._write(name, content)
        self.include(artifact)
        return artifact

    def replace(self, artifact: Artifact, name: str, content: bytes) -> Artifact:
        self.path(artifact).unlink()
        new = replace(self._write(name, content), kind=artifact.kind)
        self.artifacts = tuple(new if old.name == artifact.name else old for old in self.artifacts)
        return new

    def _write(self, name: str, content: bytes) -> Artifact:
        check_file_name(name, "a plug-in")
        path = self._directory.unfinished / name
        try:
            with path.open("xb") as target:
                target.write(content)
        except FileExistsError as error:
            raise failure(
                FailureClass.COMPILE if name in self._built else FailureClass.CHROOT,
                ErrorCode.ALREADY_EXISTS,
                f"there is a file {name} among the artifacts",
                hint="plug-ins name their files after themselves, or replace one; builds must not use those names",
            ) from error
        digest = Sha256(hashlib.sha256(content).hexdigest())
        return Artifact(name, self._directory.final / name, digest, len(content), kind_of(name))


def _read_plain_file(directory_fd: int, name: str, limit_bytes: int) -> bytes:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=directory_fd)
    except OSError as error:
        raise _unreadable(name, str(error.strerror)) from error
    with os.fdopen(descriptor, "rb") as source:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(name, "it is no plain file")
        content = source.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise _unreadable(name, f"it is larger than {limit_bytes} bytes")
    return content


def _unreadable(name: str, why: str) -> DeborchError:
    return failure(
        FailureClass.CHROOT,
        ErrorCode.NOT_FOUND,
        f"{name} in the buildroot cannot be read: {why}",
        hint="the log says what the command that should have made it did",
    )
