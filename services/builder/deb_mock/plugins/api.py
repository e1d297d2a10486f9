"""What a plug-in sees of deb-mock: hooks, what they are given, and what they may answer.

Version 1.0. Within a major version hooks, fields and defaults are only added; a plug-in names the version that it was
written for, and deb-mock refuses one that needs a newer one.

A plug-in is a class derived from `Plugin` and named by an entry point of the group `deb_mock.plugins`. An instance
serves one build, one command or one cleaning, so it may keep what it needs in itself. Methods marked `hookimpl` are
called at their moment; they take any of the arguments that `Hooks` names, and may be plain or `async`. Plug-ins
are called in the order in which the configuration lists them. They run in the engine's own process, with its rights.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_origin

import pluggy
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass
from deb_mock.model import Artifact, Base, BuildRequest, BuildResult, CheckResult, CheckStatus, CommandRequest
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.spec import Bind
from deborch_shared.sources import SourceDescription

API_VERSION = "1.0"
ENTRY_POINT_GROUP = "deb_mock.plugins"
_PROJECT = "deb_mock"

F = TypeVar("F", bound=Callable[..., Any])
_marker = pluggy.HookimplMarker(_PROJECT)
_spec = pluggy.HookspecMarker(_PROJECT)


def hookimpl(function: F) -> F:
    """Marks a method as the implementation of the hook of its name."""
    return _marker(function)


class PluginOptions(BaseModel):
    """Options of a plug-in; every field has a description, and unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _one_value_is_a_list(cls, values: Any) -> Any:  # noqa: ANN401 - what pydantic hands over
        """On a command line a list of one looks like one value."""
        if not isinstance(values, dict):
            return values
        lists = {name for name, model in cls.model_fields.items() if get_origin(model.annotation) is tuple}
        return {name: (value,) if name in lists and isinstance(value, str) else value for name, value in values.items()}


class Plugin:
    """Base of every plug-in."""

    name: ClassVar[str]
    """As the configuration names it: lower case letters, digits and '-'."""
    summary: ClassVar[str]
    """One line for `deb-mock plugin list`."""
    api_version: ClassVar[str] = API_VERSION
    """The version of this interface that the plug-in was written for; write the number down."""
    options_model: ClassVar[type[PluginOptions]] = PluginOptions

    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of options_model, checked before
        self.options = options


class CheckOptions(PluginOptions):
    """Options that every check has."""

    gating: bool = Field(False, description="A failed check ends the build; otherwise it is only reported.")
    packages: tuple[str, ...] = Field((), description="What else to install in the check's buildroot.")


class Check(Plugin):
    """Base of plug-ins that judge results: they implement the hook `check`."""

    options_model: ClassVar[type[PluginOptions]] = CheckOptions
    failure_class: ClassVar[FailureClass] = FailureClass.POLICY
    """Of a build that a gating check ends: policy, or test if the check runs what was built."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a plug-in adds to a build. Contributions of several plug-ins are joined in the order of configuration."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for dpkg-buildpackage; two plug-ins that differ about one are an error."""
    binds: tuple[Bind, ...] = ()
    """Files and directories of the host in the buildroot of the build (not where build dependencies are installed)."""
    packages: tuple[str, ...] = ()
    """Relations to install beside the build dependencies, as in Build-Depends."""
    build_options: tuple[str, ...] = ()
    """Words for DEB_BUILD_OPTIONS."""
    wrapper: tuple[str, ...] = ()
    """A command that is given dpkg-buildpackage's command line as arguments, such as `eatmydata`."""
    apt_options: Mapping[str, str] = field(default_factory=dict)
    """apt.conf(5) settings while build dependencies are resolved, downloaded and installed."""
    scratch_bytes: int | None = None
    """Memory for the files of the build; 0 for the disk, None for what is configured."""


class Buildroot(Protocol):
    """An open buildroot. Everything in it is foreign: read it by these methods only."""

    workspace: str
    """The directory in it that holds source and results."""

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
        """Run a command, as the build user unless `as_root`; its output goes to the log unless `quiet`.

        Raises:
            DeborchError: PROCESS_FAILED for an exit code other than 0, unless `check` is False.
        """
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write a file into the workspace, readable by all."""
        ...

    def take(self, name: str, *, limit_bytes: int = 64 << 20) -> bytes:
        """Read a plain file of the workspace.

        Raises:
            DeborchError: it is not there, is no plain file, or is larger.
        """
        ...


class BuildContext(Protocol):
    """The build that a hook is called for."""

    request: BuildRequest
    config: EngineConfig
    source: SourceDescription | None
    """What the .dsc says; None until it is read."""
    base: Base | None
    """None until it is there."""
    build_environment: Mapping[str, str]
    """What dpkg-buildpackage is given beside the clean environment; empty before `before_build`."""
    log: Path
    """The log, as far as it is written."""
    started_at_s: float
    """Seconds since the epoch."""

    def say(self, line: str) -> None:
        """A line in the log of the build, marked as the plug-in's own."""
        ...

    def cache_directory(self, *, for_build_user: bool = False) -> Path:
        """A directory that this plug-in keeps from build to build of the same suite and architecture.

        With `for_build_user` it may be bound into buildroots and be written there: what is in it is foreign then.
        """
        ...

    def scratch_directory(self) -> Path:
        """A directory of this plug-in that is removed when the build ends, however it ends."""
        ...


class Results(Protocol):
    """What came out of a build, before it is visible to anybody."""

    artifacts: tuple[Artifact, ...]

    def path(self, artifact: Artifact) -> Path:
        """Where the file is now; `artifact.path` is where it will be."""
        ...

    def add(self, name: str, content: bytes) -> Artifact:
        """A new file among the artifacts.

        Raises:
            DeborchError: there is one of that name, or it is no plain name.
        """
        ...

    def replace(self, artifact: Artifact, name: str, content: bytes) -> Artifact:
        """Another file in the place of one."""
        ...


class CheckRooms(Protocol):
    """Clean buildroots of the build's suite for checks."""

    def open(
        self, packages: Sequence[str] = (), *, with_source: bool = False, on_disk: bool = False
    ) -> AbstractAsyncContextManager[Buildroot]:
        """A buildroot with `packages` (relations) installed from a cached layer, and the artifacts in its workspace.

        With `with_source` the source package is there too. Commands have no network unless they ask for it.

        Raises:
            DeborchError: the suite cannot install these packages.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    status: CheckStatus
    summary: str
    """One line."""
    findings: tuple[str, ...] = ()
    """What is wrong, a line each; the first hundred are kept."""
    report: bytes = b""
    """The whole report, for a file among the artifacts."""
    suffix: str = "txt"
    """Of that file: NAME_VERSION_ARCH.CHECK.SUFFIX."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a build ended: exactly one of the two is set."""

    result: BuildResult | None
    error: BaseException | None
    """A DeborchError, CancelledError if the build was cancelled, or whatever else ended it."""


class Hooks:
    """Every hook, in the order in which a build comes to them."""

    @_spec
    def configuration_resolved(self, config: EngineConfig) -> EngineConfig | None:
        """The configuration of the engine is complete; a plug-in may answer with another. Not async."""

    @_spec
    def before_base(self, build: BuildContext) -> None:
        """The source package is read and checked; the base image is looked for next."""

    @_spec
    def after_base(self, build: BuildContext) -> None:
        """The base image is there."""

    @_spec
    def contribute(self, build: BuildContext) -> Contribution | None:
        """What the plug-in adds to this build."""

    @_spec
    def before_dependencies(self, build: BuildContext) -> None:
        """Build dependencies are resolved next, and installed if no cached layer has them."""

    @_spec
    def before_apt(self, build: BuildContext, argv: Sequence[str]) -> None:
        """apt-get is run with this command line next."""

    @_spec
    def after_apt(self, build: BuildContext, argv: Sequence[str]) -> None:
        """apt-get has ended."""

    @_spec
    def after_dependencies(self, build: BuildContext) -> None:
        """The layers with the build dependencies are there."""

    @_spec
    def buildroot_opened(self, build: BuildContext, buildroot: Buildroot) -> None:
        """The clean buildroot is there, with the build dependencies and the source package in its workspace."""

    @_spec
    def before_unpack(self, build: BuildContext, buildroot: Buildroot) -> None:
        """The source package is unpacked next."""

    @_spec
    def after_unpack(self, build: BuildContext, buildroot: Buildroot) -> None:
        """The source package is unpacked and patched."""

    @_spec
    def before_build(self, build: BuildContext, buildroot: Buildroot) -> None:
        """dpkg-buildpackage runs next."""

    @_spec
    def after_build(self, build: BuildContext, buildroot: Buildroot) -> None:
        """dpkg-buildpackage succeeded."""

    @_spec
    def buildroot_closing(self, build: BuildContext, buildroot: Buildroot) -> None:
        """The buildroot goes next; called after a failed build too, but not if it was cancelled."""

    @_spec
    def results_collected(self, build: BuildContext, results: Results) -> None:
        """What the .changes lists is copied out and verified; files may be added or replaced."""

    @_spec
    def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport | None:
        """Judge the results; None if there is nothing to judge. Checks run one after another."""

    @_spec
    def checks_finished(self, build: BuildContext, results: Results, checks: Sequence[CheckResult]) -> None:
        """Every check has been made; gating ones that failed end the build after this."""

    @_spec
    def process_log(self, build: BuildContext, results: Results, log: Artifact) -> None:
        """The log is closed and among the artifacts; nothing is written to it any more."""

    @_spec
    def build_ended(self, build: BuildContext, outcome: Outcome) -> None:
        """Always called last, also after failure and cancel; it has ten seconds, and its own failure is only logged."""

    @_spec
    def before_command(self, command: CommandRequest, buildroot: Buildroot) -> None:
        """A command or shell is run in a buildroot next."""

    @_spec
    def after_command(self, command: CommandRequest, buildroot: Buildroot, returncode: int) -> None:
        """The command or shell has ended."""

    @_spec
    def before_clean(self, config: EngineConfig, base: Base) -> None:
        """A cached base image and its layers are removed next, if no buildroot uses them."""

    @_spec
    def after_clean(self, config: EngineConfig, base: Base, removed: bool) -> None:
        """They were removed, or were in use."""
