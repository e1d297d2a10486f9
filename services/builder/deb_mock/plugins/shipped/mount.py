"""Directories and files of the host in the buildroot, as far as a policy allows."""

import os
from pathlib import Path, PurePosixPath
from typing import ClassVar

from pydantic import Field

from deb_mock.failures import FailureClass, failure
from deb_mock.plugins.api import BuildContext, Contribution, Plugin, PluginOptions, hookimpl
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Bind

_NEVER_SHOWN = ("/", "/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/var/lib", "/var/run")
"""Not themselves; what lies in them only as far as `allowed` says."""
_NEVER_COVERED = ("/", "/build", "/dev", "/proc", "/sys", "/etc", "/usr", "/bin", "/sbin", "/lib", "/var", "/tmp")  # noqa: S108
_KERNELS_OWN = ("/dev", "/proc", "/sys")


class MountOptions(PluginOptions):
    """Options of mount."""

    binds: tuple[str, ...] = Field((), description="SOURCE:TARGET or SOURCE:TARGET:rw each; read-only without rw.")
    allowed: tuple[str, ...] = Field(
        ("/srv", "/mnt", "/opt"), description="Directories of the host below which a source must lie."
    )
    allow_writable: bool = Field(
        False, description="Whether rw may be asked for: what builds write there stays, and the next ones see it."
    )


class Mount(Plugin):
    """The configuration says what may be shown; links in a source are resolved before it is compared."""

    name: ClassVar[str] = "mount"
    summary: ClassVar[str] = "Files and directories of the host in the buildroot, as far as a policy allows."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = MountOptions
    options: MountOptions

    @hookimpl
    def contribute(self, build: BuildContext) -> Contribution:
        """The binds, each checked."""
        binds = tuple(self._bind(text) for text in self.options.binds)
        for bind in binds:
            build.say(f"{bind.source} is seen as {bind.target}, {'read-only' if bind.read_only else 'writable'}")
        return Contribution(binds=binds)

    def _bind(self, text: str) -> Bind:
        source, _, rest = text.partition(":")
        target, _, mode = rest.partition(":")
        if not source.startswith("/") or not target.startswith("/") or mode not in {"", "ro", "rw"}:
            raise _refused(text, "is not SOURCE:TARGET[:ro|rw] with absolute paths")
        if mode == "rw" and not self.options.allow_writable:
            raise _refused(text, "asks to write, and the option allow_writable is off")
        self._check_target(text, target)
        return Bind(self._source(text, source), target, read_only=mode != "rw")

    def _source(self, text: str, source: str) -> Path:
        """With every link resolved, so that none leads out of what is allowed."""
        real = Path(os.path.realpath(source))
        if not real.exists():
            raise _refused(text, "names a source that does not exist")
        allowed = [Path(os.path.realpath(directory)) for directory in self.options.allowed]
        if str(real) in _NEVER_SHOWN or not any(real.is_relative_to(directory) for directory in allowed):
            raise _refused(text, f"is not below {', '.join(self.options.allowed) or 'anything that is allowed'}")
        return real

    @staticmethod
    def _check_target(text: str, target: str) -> None:
        path = PurePosixPath(target)
        covered = str(path) in _NEVER_COVERED or any(path.is_relative_to(directory) for directory in _KERNELS_OWN)
        if covered or ".." in path.parts:
            raise _refused(text, "would cover what the buildroot needs")


def _refused(text: str, why: str) -> DeborchError:
    return failure(
        FailureClass.POLICY,
        ErrorCode.FORBIDDEN,
        f"the bind {text!r} {why}",
        hint="see the options of the plug-in mount: binds, allowed, allow_writable",
    )
