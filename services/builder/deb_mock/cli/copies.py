"""`deb-mock copyin` and `deb-mock copyout`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.buildroots.root_files import Copied
from deb_mock.cli.finish import finish
from deb_mock.cli.options import AsJson, CacheDir, StateDir
from deb_mock.cli.session_options import In, User, owner_of_copies, session
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR

app = typer.Typer()


@app.command()
def copyin(  # noqa: PLR0917 - typer reads the parameters as options
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files and directories of the host.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Path inside.")],
    inside: Annotated[str, typer.Option("--in", metavar="NAME", help="A buildroot of deb-mock init.")],
    user: User = "root",
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Copy files and whole directories into a buildroot, to belong to a user of it."""

    async def work() -> Copied:
        async with session(inside, "", "", state_dir=state_dir, cache_dir=cache_dir) as buildroot:
            return await buildroot.copy_in(sources, target, user=user)

    _tell(finish(work(), as_json=as_json), as_json=as_json)


@app.command()
def copyout(  # noqa: PLR0917 - typer reads the parameters as options
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Paths inside.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="On the host.")],
    inside: In = "",
    suite: Annotated[str, typer.Option(help="Suite of a clean buildroot, without --in.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture of a clean buildroot.")] = "",
    mirror: Annotated[str | None, typer.Option(help="Archive of a clean buildroot.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Copy files and whole directories out of a buildroot, to belong to you; no link leads out of it."""

    async def work() -> Copied:
        async with session(inside, suite, arch, state_dir=state_dir, cache_dir=cache_dir, mirror=mirror) as buildroot:
            return await buildroot.copy_out(sources, target, owner_of_copies())

    _tell(finish(work(), as_json=as_json), as_json=as_json)


def _tell(copied: Copied, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(copied)))  # noqa: T201
        return
    for name in copied.skipped:
        print(f"deb-mock: {name} is left out: it is no file, directory or link", file=sys.stderr)  # noqa: T201
