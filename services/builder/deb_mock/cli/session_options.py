"""What `shell`, `exec`, `install`, `copyin` and `copyout` have in common."""

import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.buildroots.root_files import Owner
from deb_mock.buildroots.sessions import BuildrootSession
from deb_mock.cli.configured import current
from deb_mock.cli.options import engine_config, native_architecture, read_repository, required_codename
from deb_mock.configuration.policies import allowed_bind, allowed_network
from deb_mock.engine import Engine
from deb_mock.host.privileges import require_root
from deb_mock.model import SessionRequest
from deborch_shared.sandbox.spec import Bind

_CHUNK_BYTES = 64 << 10
In = Annotated[str, typer.Option("--in", metavar="NAME", help="A buildroot of deb-mock init; without, a clean one.")]
User = Annotated[str, typer.Option(help="root, builder, a number, or a user of the buildroot.")]
Cwd = Annotated[str, typer.Option("--cwd", help="Directory inside to start in.")]
Variables = Annotated[list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable more.")]
Binds = Annotated[
    list[str] | None, typer.Option("--bind", metavar="DIR[:INSIDE[:rw]]", help="Show a directory that `binds` allows.")
]
Network = Annotated[bool, typer.Option("--network", help="With the network of the host, if `network` allows it.")]


@asynccontextmanager
async def session(
    name: str,
    suite: str,
    arch: str,
    *,
    state_dir: Path,
    cache_dir: Path,
    mirror: str | None = None,
    repositories: Sequence[Path] = (),
    binds: Sequence[str] = (),
) -> AsyncIterator[BuildrootSession]:
    """The buildroot that the options mean."""
    require_root()
    engine = Engine(engine_config(state_dir, cache_dir, mirror))
    request = SessionRequest(
        session_id=f"session-{os.getpid()}",
        suite=suite or required_codename(),
        architecture=arch or await native_architecture(),
        components=current().settings.components,
        name=name or None,
        extra_sources=tuple(read_repository(path) for path in repositories),
        binds=tuple(bind_of(text) for text in binds),
    )
    try:
        await engine.recover()
        async with engine.session(request, on_log=write_error) as opened:
            yield opened
    finally:
        await engine.close()


def network_of(asked: bool) -> bool:
    """Whether the network is given; on stderr if it is."""
    if asked:
        allowed_network(current().settings)
        write_error(b"deb-mock: the network of the host is allowed for this command\n")
    return asked


def bind_of(text: str) -> Bind:
    """`DIR[:INSIDE[:rw]]`, if the policy allows it."""
    return allowed_bind(current().settings, text)


def variables_of(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` each; a name alone is taken from the environment of this command."""
    pairs = (text.partition("=") for text in given)
    return {name: value if sign else os.environ.get(name, "") for name, sign, value in pairs}


def exit_with(returncode: int) -> typer.Exit:
    """The exit code of a command that was run, as a shell would tell it."""
    return typer.Exit(returncode if returncode >= 0 else 128 - returncode)


def write_out(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def write_error(chunk: bytes) -> None:
    sys.stderr.buffer.write(chunk)
    sys.stderr.buffer.flush()


@contextmanager
def piped_stdin() -> Iterator[int | None]:
    """What a command inside may read of our input: a pipe that is fed from it. Nothing of a terminal's."""
    mode = os.fstat(0).st_mode
    if os.isatty(0) or not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield None
        return
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    threading.Thread(target=_feed, args=(write_end,), daemon=True).start()
    try:
        yield read_end
    finally:
        os.close(read_end)


def _feed(write_end: int) -> None:
    """A thread of its own: it may sleep in a read when the command is long gone."""
    with suppress(OSError), os.fdopen(write_end, "wb", buffering=0) as pipe:
        while chunk := os.read(0, _CHUNK_BYTES):
            pipe.write(chunk)


def owner_of_copies() -> Owner:
    """Whoever called us, through sudo perhaps."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdecimal() and gid.isdecimal():
        return Owner(int(uid), int(gid))
    return Owner(os.geteuid(), os.getegid())
