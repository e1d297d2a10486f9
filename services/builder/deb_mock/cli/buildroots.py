"""`deb-mock init`, `shell`, `exec`, `install` and `remove`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.cli.configured import current
from deb_mock.cli.finish import finish
from deb_mock.cli.options import (
    AsJson,
    CacheDir,
    StateDir,
    engine_config,
    native_architecture,
    required_codename,
)
from deb_mock.cli.session_options import (
    Binds,
    Cwd,
    In,
    Network,
    User,
    Variables,
    exit_with,
    network_of,
    piped_stdin,
    session,
    variables_of,
    write_error,
    write_out,
)
from deb_mock.engine import Engine
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.host.privileges import require_root
from deb_mock.model import NamedBuildroot, SessionRequest
from deborch_shared.sandbox.terminal import UserTerminal

app = typer.Typer()
_EXIT = "The exit code is that of the command; 70 and below as for build if it could not run."
Suite = Annotated[str, typer.Option(help="Suite of a clean buildroot; the configured one, or the host's own.")]
Arch = Annotated[str, typer.Option(help="Architecture; the configured one, or the host's own.")]
Mirror = Annotated[str | None, typer.Option(help="Archive; the host's apt sources say if not given.")]
Repositories = Annotated[list[Path] | None, typer.Option("--extra-repository", help="A .sources file with its key.")]


@app.command()
def init(  # noqa: PLR0917 - typer reads the parameters as options
    name: Annotated[str, typer.Argument(help="SUITE-ARCHITECTURE if not given.")] = "",
    suite: Suite = "",
    arch: Arch = "",
    again: Annotated[
        bool, typer.Option("--again", help="Make it anew if it is there; what was in it is lost.")
    ] = False,
    mirror: Mirror = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a buildroot that is kept, for shell, exec, install, copyin and copyout."""

    async def work() -> NamedBuildroot:
        require_root()
        wanted, architecture = suite or required_codename(), arch or await native_architecture()
        request = SessionRequest(
            session_id=f"init-{os.getpid()}",
            suite=wanted,
            architecture=architecture,
            components=current().settings.components,
            name=name or f"{wanted}-{architecture}",
        )
        engine = Engine(engine_config(state_dir, cache_dir, mirror))
        try:
            await engine.recover()
            return await engine.make_named(request, again=again, on_log=write_error)
        finally:
            await engine.close()

    made = finish(work(), as_json=as_json)
    print(json.dumps(asdict(made), default=str) if as_json else f"{made.name}: deb-mock shell {made.name}")  # noqa: T201


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Of a buildroot that deb-mock init made.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove a buildroot that was kept, with everything in it."""

    async def work() -> None:
        require_root()
        engine = Engine(engine_config(state_dir, cache_dir))
        await engine.recover()
        await engine.named_buildroots.remove(name)

    finish(work(), as_json=as_json)


@app.command(epilog=_EXIT)
def shell(  # noqa: PLR0917 - typer reads the parameters as options
    name: Annotated[str, typer.Argument(help="A buildroot of deb-mock init; without, a clean one.")] = "",
    user: User = "root",
    cwd: Cwd = "/",
    env: Variables = None,
    bind: Binds = None,
    network: Network = False,
    suite: Suite = "",
    arch: Arch = "",
    extra_repository: Repositories = None,
    mirror: Mirror = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
) -> None:
    """Open a shell in a buildroot, on a terminal of its own; commands from a pipe if there is no terminal."""

    async def work() -> int:
        async with session(
            name,
            suite,
            arch,
            state_dir=state_dir,
            cache_dir=cache_dir,
            mirror=mirror,
            repositories=extra_repository or (),
            binds=bind or (),
        ) as buildroot:
            variables = {"TERM": os.environ.get("TERM", "dumb"), "PS1": f"{name or 'buildroot'}:\\w\\$ "}
            variables |= variables_of(env or ())
            allowed = network_of(network)
            if os.isatty(0) and os.isatty(1):
                argv = ["/bin/bash", "--norc", "-i"]
                return await buildroot.run_in_terminal(
                    argv, UserTerminal(), user=user, cwd=cwd, env=variables, network=allowed
                )
            with piped_stdin() as stdin:
                return await buildroot.run(
                    ["/bin/bash", "-s"],
                    user=user,
                    cwd=cwd,
                    env=variables,
                    network=allowed,
                    stdin=stdin,
                    on_output=write_out,
                )

    raise exit_with(finish(work(), as_json=False))


@app.command("exec", epilog=_EXIT)
def run_command(  # noqa: PLR0917 - typer reads the parameters as options
    argv: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    inside: In = "",
    user: User = "root",
    cwd: Cwd = "/",
    env: Variables = None,
    bind: Binds = None,
    network: Network = False,
    suite: Suite = "",
    arch: Arch = "",
    extra_repository: Repositories = None,
    time_limit: Annotated[float, typer.Option("--timeout", min=1, help="Seconds that it may take.")] = 3600.0,
    mirror: Mirror = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
) -> None:
    """Run a command in a buildroot; it reads what is piped in."""

    async def work() -> int:
        async with session(
            inside,
            suite,
            arch,
            state_dir=state_dir,
            cache_dir=cache_dir,
            mirror=mirror,
            repositories=extra_repository or (),
            binds=bind or (),
        ) as buildroot:
            with piped_stdin() as stdin:
                return await buildroot.run(
                    argv,
                    user=user,
                    cwd=cwd,
                    env=variables_of(env or ()),
                    network=network_of(network),
                    stdin=stdin,
                    on_output=write_out,
                    timeout_s=time_limit,
                )

    raise exit_with(finish(work(), as_json=False))


@app.command()
def install(  # noqa: PLR0917 - typer reads the parameters as options
    wanted: Annotated[list[str], typer.Argument(metavar="PACKAGE|FILE.deb...", help="By name, or files of the host.")],
    inside: In = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Use what is given and what is there; no network.")
    ] = False,
    suite: Suite = "",
    arch: Arch = "",
    extra_repository: Repositories = None,
    mirror: Mirror = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Install packages into a buildroot; without --in it is tried in a clean one that is thrown away."""

    async def work() -> None:
        async with session(
            inside,
            suite,
            arch,
            state_dir=state_dir,
            cache_dir=cache_dir,
            mirror=mirror,
            repositories=extra_repository or (),
        ) as buildroot:
            await buildroot.install(wanted, network=not offline)

    finish(work(), as_json=as_json)
