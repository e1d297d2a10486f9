"""The tools roots of a state directory: made once, whoever asks first, and used by all composes."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import orjson

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools import room
from deb_bootc_compose.tools.making import PACKAGES, Said, make_root, native_architecture
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.tools.recipe import Recipe, ToolSet, recipe_for
from deborch_shared import locks
from deborch_shared.process import OutputSink, ProcessResult


def _unsaid(_: str) -> None:
    """Nobody listens."""


def _unheard(_: bytes) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who hears what the making of a root does."""

    on_step: Said = _unsaid
    on_output: OutputSink = _unheard


@dataclass(slots=True)
class RoomTools:
    """`Tools` of one tools root that is whole. Get one by `open_tools`."""

    state: State
    directory: Path
    packages: Mapping[str, str]
    voice: Voice
    proxies: Mapping[str, str]
    _machine: "RoomTools | None" = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        return digest_of(self.packages)

    @property
    def root(self) -> Path:
        """The file tree, to be read only."""
        return self.directory / "root"

    async def machine(self) -> "RoomTools":
        if self._machine is None:
            recipe = recipe_for(ToolSet.MACHINE, native_architecture())
            self._machine = await _opened(self.state, recipe, self.voice, self.proxies)
        return self._machine

    async def run(
        self,
        argv: Sequence[str],
        *,
        bound: Sequence[Bound] = (),
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        network: bool = False,
        on_output: OutputSink | None = None,
        timeout_s: float | None = None,
        check: bool = True,
    ) -> ProcessResult:
        return await room.run_in(
            self.directory,
            argv,
            bound=bound,
            cwd=cwd,
            env=env,
            stdin=stdin,
            network=network,
            on_output=on_output,
            timeout_s=timeout_s,
            check=check,
        )

    def terminal_command(self, argv: Sequence[str], *, bound: Sequence[Bound] = (), network: bool = False) -> list[str]:
        """What to start, with the terminal of the user as it is, to run `argv` there."""
        return room.command(self.directory, argv, bound=bound, network=network, terminal=True)


async def open_tools(
    state: State, *, voice: Voice | None = None, proxies: Mapping[str, str] | None = None
) -> RoomTools:
    """The tools for trees and disks, made now if they are not there.

    Raises:
        DeborchError: NEEDS_ROOT, FETCH_FAILED, INVALID_SETTING.
    """
    recipe = recipe_for(ToolSet.TREE, native_architecture())
    return await _opened(state, recipe, voice or Voice(), proxies or {})


async def _opened(state: State, recipe: Recipe, voice: Voice, proxies: Mapping[str, str]) -> RoomTools:
    room.require_root()
    directory = state.tools / recipe.key
    if not directory.exists():
        lock = state.locks / f"tools-{recipe.key}"
        async with locks.exclusive(lock, on_wait=lambda: voice.on_step("waiting for who makes the tools root")):
            if not directory.exists():
                await _make(state, recipe, directory, voice, proxies)
    os.utime(directory)  # its last use, for `gc`
    packages = orjson.loads((directory / PACKAGES).read_bytes())
    return RoomTools(state, directory, packages, voice, proxies)


async def _make(state: State, recipe: Recipe, directory: Path, voice: Voice, proxies: Mapping[str, str]) -> None:
    """Beside the place, then moved there whole. What a killed maker left goes first: the lock says that it is dead."""
    for left in state.scratch.glob(f"tools-{recipe.key}.*"):
        shutil.rmtree(left)
    half_made = state.scratch / f"tools-{recipe.key}.{token_hex(4)}"
    half_made.mkdir(parents=True)
    try:
        await make_root(recipe, half_made, proxies=proxies, on_step=voice.on_step, on_output=voice.on_output)
        directory.parent.mkdir(parents=True, exist_ok=True)
        half_made.rename(directory)
    finally:
        shutil.rmtree(half_made, ignore_errors=True)
