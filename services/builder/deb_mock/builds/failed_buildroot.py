"""The buildroot of a build that failed, before it is removed: for somebody who wants to look around in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.terminal import UserTerminal

_SHELL = 'cd "$1" 2>/dev/null; exec /bin/bash --norc -i'


@dataclass(frozen=True, slots=True)
class FailedBuildroot:
    """As the build left it; all its processes are gone."""

    sandbox: Sandbox
    workspace: str
    build_path: str
    """Of the source, if the build came that far."""
    uid: int
    """Of the build's user."""
    environment: Mapping[str, str]
    network: bool

    async def shell(self, terminal: UserTerminal, *, as_root: bool, variables: Mapping[str, str]) -> int:
        """A shell with the build's isolation, limits, variables and, where it was allowed, network; its exit code.

        Raises:
            DeborchError: if there can be none.
        """
        root = {"HOME": "/root", "USER": "root", "LOGNAME": "root"} if as_root else {}
        return await self.sandbox.run_in_terminal(
            ["/bin/sh", "-c", _SHELL, "sh", self.build_path],
            terminal,
            uid=0 if as_root else self.uid,
            cwd=self.workspace,
            env={**self.environment, **root, **variables},
            network=self.network,
        )


OnFailed = Callable[[FailedBuildroot, DeborchError], Awaitable[None]]
"""Awaited before the buildroot is removed; gets what ended the build as well."""


@asynccontextmanager
async def shown_if_it_fails(buildroot: FailedBuildroot, on_failed: OnFailed | None) -> AsyncIterator[None]:
    """Around what happens in a buildroot. A cancel is no failure: who ends a build does not want to look at it."""
    try:
        yield
    except DeborchError as error:
        if on_failed is not None:
            await on_failed(buildroot, error)
        raise


def untimed(limit: asyncio.Timeout, on_failed: OnFailed | None) -> OnFailed | None:
    """As `on_failed`, which may take as long as it likes: the build's own time is over."""
    if on_failed is None:
        return None

    async def show(buildroot: FailedBuildroot, error: DeborchError) -> None:
        limit.reschedule(None)
        await on_failed(buildroot, error)

    return show
