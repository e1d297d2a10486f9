"""`deb-mock build --shell-on-failure`: a shell in the buildroot of a build that failed, before it is removed."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from deb_mock.builds.failed_buildroot import FailedBuildroot
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Backend
from deborch_shared.sandbox.terminal import UserTerminal

_KEYS, _SCREEN = 0, 2
"""Results and `--json` go to the standard output: the shell is shown where progress is."""


class ShellUser(StrEnum):
    """Who has the shell."""

    BUILD = "build"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """What happens when a build has failed."""

    shell_on_failure: Annotated[
        bool, typer.Option("--shell-on-failure", help="Open a shell in a buildroot whose build failed, then remove it.")
    ] = False
    shell_user: Annotated[ShellUser, typer.Option(help="Who has that shell.")] = ShellUser.BUILD

    def wanted(self, config: EngineConfig) -> "FailedShell | None":
        """The shell. Says now what would be found out when a build has failed.

        Raises:
            DeborchError: INVALID_INPUT of class policy
        """
        if not self.shell_on_failure:
            return None
        if not (os.isatty(_KEYS) and os.isatty(_SCREEN)):
            raise _impossible("needs a terminal as standard input and standard error", "leave it out in scripts and CI")
        if config.backend is not Backend.NAMESPACES:
            raise _impossible(f"cannot be had with the backend {config.backend}", "use the backend namespaces")
        return FailedShell(as_root=self.shell_user is ShellUser.ROOT)


class FailedShell:
    """Who opens the shell."""

    def __init__(self, *, as_root: bool) -> None:
        self._as_root = as_root
        self._opened = False

    async def open(
        self, quiet: Callable[[], AbstractContextManager[None]], buildroot: FailedBuildroot, error: DeborchError
    ) -> None:
        """Until the user leaves it, nothing else on the screen. That there can be none hides nothing of `error`."""
        console = Console(stderr=True)
        self._opened = True
        with quiet():
            console.print(f"deb-mock: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
            who = "root" if self._as_root else "the build's user"
            console.print(f"Here is a shell as {who}. The buildroot is removed when you leave it.", highlight=False)
            variables = {"TERM": os.environ.get("TERM", "dumb"), "PS1": r"failed:\w\$ "}
            try:
                await buildroot.shell(UserTerminal(_KEYS, _SCREEN), as_root=self._as_root, variables=variables)
            except DeborchError as refused:
                console.print(f"no shell: {refused.message}", style="yellow", markup=False, soft_wrap=True)

    def say_if_there_was_none(self) -> None:
        """After a failure."""
        if not self._opened:
            said = "no shell: it failed before there was a buildroot of its own, or after it"
            Console(stderr=True).print(said, style="yellow", soft_wrap=True)


def _impossible(what: str, hint: str) -> DeborchError:
    return failure(
        FailureClass.POLICY,
        ErrorCode.INVALID_INPUT,
        f"--shell-on-failure {what}",
        hint=f"{hint}; log and report of a failed build are kept",
    )
