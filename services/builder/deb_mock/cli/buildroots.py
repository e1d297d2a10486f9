"""`deb-mock exec`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.cli.finish import finish
from deb_mock.cli.options import (
    CacheDir,
    StateDir,
    engine_config,
    native_architecture,
    read_repository,
    required_codename,
)
from deb_mock.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.engine import Engine
from deb_mock.model import CommandRequest
from deb_mock.privileges import require_root

app = typer.Typer()


@app.command("exec", epilog="The exit code is that of the command; 70 and below as for build if it could not run.")
def run_command(  # noqa: PLR0917 - typer reads the parameters as options
    argv: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    suite: Annotated[str, typer.Option(help="Debian suite; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; the host's own if not given.")] = "",
    extra_repository: Annotated[list[Path] | None, typer.Option(help="A deb822 .sources file with its key.")] = None,
    network: Annotated[bool, typer.Option("--network", help="With the network of the host.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that it may take.")] = 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
) -> None:
    """Run a command as root of a clean buildroot that is thrown away after."""
    config = engine_config(state_dir, cache_dir, mirror)

    async def work() -> int:
        require_root()
        request = CommandRequest(
            command_id=f"exec-{os.getpid()}",
            argv=tuple(argv),
            suite=suite or required_codename(),
            architecture=arch or await native_architecture(),
            extra_sources=tuple(read_repository(path) for path in extra_repository or ()),
            network=network,
            timeout_s=timeout,
        )
        engine = Engine(config)
        await engine.recover()
        return await engine.run_command(request, on_output=_write_out, on_log=_write_error)

    returncode = finish(work(), as_json=False)
    raise typer.Exit(returncode if returncode >= 0 else 128 - returncode)


def _write_out(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _write_error(chunk: bytes) -> None:
    sys.stderr.buffer.write(chunk)
    sys.stderr.buffer.flush()
