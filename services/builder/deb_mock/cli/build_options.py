"""The options that commands which build share, in groups, and what each group means for the engine."""

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.cli.configured import current
from deb_mock.cli.options import (
    CacheDir,
    StateDir,
    engine_config,
    native_architecture,
    read_repository,
    required_codename,
)
from deb_mock.configuration.engine_settings import request_defaults
from deb_mock.configuration.resolve import require_architecture
from deb_mock.engine_config import EngineConfig, SignaturePolicy
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR, default_jobs
from deb_mock.model import BuildRequest, Surroundings


class Mode(StrEnum):
    """What to build."""

    BOTH = "any+all"
    ANY = "any"
    ALL = "all"
    SOURCE = "source"
    FULL = "full"


Source = Annotated[str, typer.Argument(help="A .dsc, a directory with debian/, or NAME[=VERSION] of the suite.")]
Suite = Annotated[str, typer.Option(help="Debian suite to build for; the host's own if not given.")]
ExtraRepositories = Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")]
Merge = Annotated[bool, typer.Option("--merge", help="Add the results to a directory that has files.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds that a build may take.")]
TmpfsMib = Annotated[int | None, typer.Option(min=0, help="Memory for the build's files; 0: on disk.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")]
DEFAULT_TIMEOUT_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where the engine works, and from which archive."""

    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None
    state_dir: StateDir = DEFAULT_STATE_DIR
    cache_dir: CacheDir = DEFAULT_CACHE_DIR

    def config(self) -> EngineConfig:
        return engine_config(self.state_dir, self.cache_dir, self.mirror)


def with_tmpfs(config: EngineConfig, tmpfs_mib: int | None) -> EngineConfig:
    return config if tmpfs_mib is None else replace(config, tmpfs_bytes=(tmpfs_mib << 20) or None)


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What packages are built for."""

    suite: Suite = ""
    arch: Annotated[str, typer.Option(help="Architecture that builds; the host's own if not given.")] = ""
    extra_repository: ExtraRepositories = None
    profile: Annotated[list[str] | None, typer.Option(help="Build profile, such as nodoc.")] = None

    async def request(self, command: str) -> BuildRequest:
        """The request of `command` with all that is configured; what to build, and where to, is still to be set."""
        request = BuildRequest(
            build_id=f"{command}-{os.getpid()}",
            dsc=Path(),
            source_dir=Path(),
            suite=self.suite or required_codename(),
            architecture=self.arch or await native_architecture(),
            result_dir=Path(),
            extra_sources=tuple(read_repository(path) for path in self.extra_repository or ()),
            profiles=tuple(self.profile or ()),
        )
        return replace(request, **request_defaults(current().settings))


@dataclass(frozen=True, slots=True)
class DependencyOptions:
    """What decides about build dependencies."""

    host: Annotated[str, typer.Option(help="Cross build: the architecture that the packages are for.")] = ""
    add_depends: Annotated[list[str] | None, typer.Option(help="One more build dependency.")] = None
    add_conflicts: Annotated[list[str] | None, typer.Option(help="One more build conflict.")] = None

    def applied(self, request: BuildRequest) -> BuildRequest:
        require_architecture(current().settings, self.host)
        return replace(
            request,
            host_architecture=self.host or None,
            add_depends=tuple(self.add_depends or ()),
            add_conflicts=tuple(self.add_conflicts or ()),
        )


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How the build itself is run."""

    build_path: Annotated[str, typer.Option(help="Of the source; DIR/ adds NAME-VERSION.")] = ""
    build_option: Annotated[list[str] | None, typer.Option(help="Word for DEB_BUILD_OPTIONS, such as nocheck.")] = None
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Parallel jobs; by processors and memory.")
    ] = None
    timeout: Timeout = DEFAULT_TIMEOUT_S

    def applied(self, request: BuildRequest) -> BuildRequest:
        return replace(
            request,
            parallel=self.jobs or default_jobs(),
            timeout_s=self.timeout,
            build_options=tuple(self.build_option or ()),
            surroundings=Surroundings(build_path=self.build_path),
        )


@dataclass(frozen=True, slots=True)
class SignatureOptions:
    """Which signatures a source needs."""

    source_keyring: Annotated[Path | None, typer.Option(help="Ask for a good signature by a key in it.")] = None
    dsc_signature: Annotated[SignaturePolicy, typer.Option(help="If it has none.")] = SignaturePolicy.REQUIRE
    orig_signature: Annotated[
        SignaturePolicy, typer.Option(help="Original tarballs, by debian/upstream/signing-key.asc.")
    ] = SignaturePolicy.OFF

    def applied(self, config: EngineConfig) -> EngineConfig:
        return replace(
            config,
            source_keyring=self.source_keyring.absolute() if self.source_keyring else None,
            dsc_signature=self.dsc_signature,
            orig_signature=self.orig_signature,
        )
