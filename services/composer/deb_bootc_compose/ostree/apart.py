"""Programs of this host that run what packages bring: in a copy of the host's root that is thrown away.

mmdebstrap installs with maintainer scripts as root, and a chroot holds nobody: `/proc/1/root` is where mmdebstrap is.
So that is not the host: it is an overlay, over which homes are hidden and of which nothing stays, with no network.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import deborch_shared
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.tools.room import run_in
from deborch_shared.process import OutputSink, ProcessResult

_HIDDEN = ("/root", "/home", "/srv", "/mnt", "/media")
"""Keys and data of people; programs of the host are elsewhere."""


_HOST = "host"


async def run_apart(
    argv: Sequence[str],
    scratch: Path,
    *,
    readable: Mapping[str, Path],
    env: dict[str, str],
    on_output: OutputSink,
    timeout_s: float,
) -> ProcessResult:
    """Run `argv`, which may write to `scratch`, a directory; all that it starts and mounts ends with it.

    `readable`: what else it sees of the host, by the place where it sees it.

    Raises:
        DeborchError: what `run_in` raises.
    """
    bound = await asyncio.to_thread(_prepare, scratch, readable)
    return await run_in(scratch / _HOST, argv, bound=bound, env=env, on_output=on_output, timeout_s=timeout_s)


def _prepare(scratch: Path, readable: Mapping[str, Path]) -> list[Bound]:
    """Lay out the host as a tools root, and say what is seen there that an overlay over `/` does not show."""
    host, nothing = scratch / _HOST, scratch / "hidden"
    for directory in (host / "room", nothing):
        directory.mkdir(parents=True)
    (host / "root").symlink_to("/")
    programs = [path.resolve() for path in _programs()]
    needed = [scratch.resolve(), *programs]
    homes = [Path(name) for name in _HIDDEN if not any(path.is_relative_to(name) for path in needed)]
    return [
        *(Bound(nothing, inside=str(home)) for home in homes if home.is_dir() and not home.is_symlink()),
        *(Bound(path) for path in programs if _is_elsewhere(path)),
        *(Bound(path.resolve(), inside=place) for place, path in readable.items()),
        Bound(scratch.resolve(), writable=True),
    ]


def _programs() -> list[Path]:
    """Of the host, and of this Python."""
    imported = [Path(module).resolve().parents[2] for module in (__file__, deborch_shared.__file__)]
    return [Path("/usr"), Path("/etc"), Path(sys.prefix), Path(sys.base_prefix), *imported]


def _is_elsewhere(path: Path) -> bool:
    """Whether it is on another file system than `/`, which an overlay over that does not show."""
    return path.stat().st_dev != Path("/").stat().st_dev
