"""The command line of deb-mock."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deb_mock.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR, default_tmpfs_bytes
from deb_mock.engine import Engine
from deb_mock.failures import EXIT_UNKNOWN, exit_code
from deb_mock.host_apt import host_codename, proxies_of
from deb_mock.model import BuildRequest, BuildResult, CommandRequest, EngineConfig, ExtraRepository
from deb_mock.privileges import require_root
from deb_mock.progress import Progress
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.record import records

T = TypeVar("T")

_EPILOG = (
    "Exit codes: 0 success, 1 compile, 2 wrong usage, 3 policy (bad source, bad input), 4 dep-wait, 5 fetch-fault, "
    "6 chroot-fault, 7 install of build dependencies, 8 timeout, 9 log limit, 10 killed, 70 anything else, "
    "130 interrupted."
)
_INTERRUPTED = 130
app = typer.Typer(
    help="Build Debian source packages in clean, isolated, cached buildroots.", no_args_is_help=True, epilog=_EPILOG
)


class Mode(StrEnum):
    """What to build."""

    BOTH = "any+all"
    ANY = "any"
    ALL = "all"


StateDir = Annotated[Path, typer.Option(envvar="DEB_MOCK_STATE_DIR", help="Buildroots in use.")]
CacheDir = Annotated[Path, typer.Option(envvar="DEB_MOCK_CACHE_DIR", help="Bases and dependency layers.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result or the error as JSON on stdout.")]


@app.command(epilog=_EPILOG)
def build(  # noqa: PLR0917 - typer reads the parameters as options
    dsc: Annotated[Path, typer.Argument(help="The .dsc; the files that it lists lie beside it.")],
    suite: Annotated[str, typer.Option(help="Debian suite to build for; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; the host's own if not given.")] = "",
    result_dir: Annotated[Path | None, typer.Option(help="New directory for the results.")] = None,
    extra_repository: Annotated[
        list[Path] | None, typer.Option(help="A deb822 .sources file with its key in it; may be given more than once.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Architecture-dependent packages, independent ones, or both.")] = Mode.BOTH,
    profile: Annotated[list[str] | None, typer.Option(help="Build profile, such as nodoc.")] = None,
    build_option: Annotated[list[str] | None, typer.Option(help="Word for DEB_BUILD_OPTIONS, such as nocheck.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Parallel jobs.")] = os.cpu_count() or 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a build may take.")] = 6 * 3600.0,
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    source_keyring: Annotated[Path | None, typer.Option(help="Ask for a good signature by a key in it.")] = None,
    tmpfs_mib: Annotated[int | None, typer.Option(min=0, help="Memory for the build's files; 0: on disk.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build one source package."""
    config = replace(
        _config(state_dir, cache_dir, mirror),
        source_keyring=source_keyring.absolute() if source_keyring else None,
        tmpfs_bytes=default_tmpfs_bytes() if tmpfs_mib is None else (tmpfs_mib << 20) or None,
    )

    async def work() -> BuildResult:
        request = BuildRequest(
            build_id=f"cli-{os.getpid()}",
            dsc=dsc.absolute(),
            source_dir=dsc.absolute().parent,
            suite=suite or _required_codename(),
            architecture=arch or await _native_architecture(),
            result_dir=(result_dir or Path(f"{dsc.stem}_result")).absolute(),
            mode=mode.value,
            extra_sources=tuple(_repository(path) for path in extra_repository or ()),
            parallel=jobs,
            timeout_s=timeout,
            profiles=tuple(profile or ()),
            build_options=tuple(build_option or ()),
        )
        return await _build(config, request, verbose=verbose)

    result = _finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(asdict(result), default=str))  # noqa: T201
        return
    console = Console()
    for artifact in result.artifacts:
        console.print(str(artifact.path), highlight=False, soft_wrap=True)


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
    config = _config(state_dir, cache_dir, mirror)

    async def work() -> int:
        require_root()
        request = CommandRequest(
            command_id=f"exec-{os.getpid()}",
            argv=tuple(argv),
            suite=suite or _required_codename(),
            architecture=arch or await _native_architecture(),
            extra_sources=tuple(_repository(path) for path in extra_repository or ()),
            network=network,
            timeout_s=timeout,
        )
        engine = Engine(config)
        await engine.recover()
        return await engine.run_command(request, on_output=_write_out, on_log=_write_error)

    returncode = _finish(work(), as_json=False)
    raise typer.Exit(returncode if returncode >= 0 else 128 - returncode)


@app.command("list")
def list_cached(
    state_dir: StateDir = DEFAULT_STATE_DIR, cache_dir: CacheDir = DEFAULT_CACHE_DIR, as_json: AsJson = False
) -> None:
    """Show cached bases and buildroots in use."""
    config = _config(state_dir, cache_dir)
    bases = Engine(config).bases()
    used = records(config.sandboxes_dir)
    if as_json:
        shown = {"bases": [asdict(base) for base in bases], "buildroots": [asdict(entry) for entry in used]}
        print(json.dumps(shown, default=str))  # noqa: T201
        return
    table = Table("base", "suite", "architecture", "age", "dependency layers")
    for base in bases:
        layers = [path for path in (config.layers_dir / base.name).glob("*/*") if path.is_dir()]
        age_days = (time.time() - base.made_at_s) / 86_400
        table.add_row(base.name, base.suite, base.architecture, f"{age_days:.1f} days", str(len(layers)))
    console = Console()
    console.print(table)
    for entry in used:
        state = "in use" if entry.owner.is_alive() else "left by a killed process; deb-mock clean removes it"
        console.print(f"{entry.name}: {state}", highlight=False)


@app.command()
def clean(
    bases: Annotated[bool, typer.Option("--bases", help="Remove bases and dependency layers too.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove what killed builds left, and with --bases every base that is not in use."""
    engine = Engine(_config(state_dir, cache_dir))

    async def work() -> dict[str, list[str]]:
        recovered = await engine.recover()
        removed = [base.name for base in engine.bases() if bases and await engine.remove_base(base)]
        return {"left behind": [*recovered.sandboxes, *recovered.half_made_bases], "bases": removed}

    result = _finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(result))  # noqa: T201
        return
    for kind, names in result.items():
        print(f"{kind}: {', '.join(names) or 'nothing to remove'}")  # noqa: T201


def main() -> None:
    """Entry point of `deb-mock`."""
    app()


def _write_out(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _write_error(chunk: bytes) -> None:
    sys.stderr.buffer.write(chunk)
    sys.stderr.buffer.flush()


def _config(state_dir: Path, cache_dir: Path, mirror: str | None = None) -> EngineConfig:
    return EngineConfig(
        state_dir=state_dir.absolute(),
        cache_dir=cache_dir.absolute(),
        mirror=mirror,
        tmpfs_bytes=default_tmpfs_bytes(),
        proxies=proxies_of(os.environ),
    )


async def _build(config: EngineConfig, request: BuildRequest, *, verbose: bool) -> BuildResult:
    require_root()
    engine = Engine(config)
    log_path = request.result_dir.with_name(f"{request.result_dir.name}.log")
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started_s = time.monotonic()
    with log_path.open("wb") as log, Progress(verbose=verbose, log=log) as progress:
        try:
            await engine.recover()
            result = await engine.build(request, on_log=progress.on_log, on_stage=progress.on_stage)
        except DeborchError as error:
            error.fields["log"] = str(log_path)
            raise
        finally:
            progress.finish(time.monotonic() - started_s)
            await engine.close()
    log_path.unlink(missing_ok=True)
    return result


def _repository(path: Path) -> ExtraRepository:
    return ExtraRepository(path.stem.lower(), path.read_text())


def _required_codename() -> str:
    codename = host_codename()
    if not codename:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, "the host does not say which Debian suite it is", hint="give --suite"
        )
    return codename


async def _native_architecture() -> str:
    return (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()


def _finish(work: Coroutine[Any, Any, T], *, as_json: bool) -> T:
    """Run `work`; an error is shown without a traceback and becomes the exit code."""
    try:
        return asyncio.run(_until_signalled(work))
    except DeborchError as error:
        _show(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except OSError as error:
        _show(_system_error(error), as_json=as_json)
        raise typer.Exit(EXIT_UNKNOWN) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        Console(stderr=True).print("interrupted; the buildroot is removed")
        raise typer.Exit(_INTERRUPTED) from None


def _system_error(error: OSError) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"{error.filename or 'deb-mock'}: {error.strerror or error}",
        hint="check that the file or directory exists and may be used",
    )


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends a build as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _show(error: DeborchError, *, as_json: bool) -> None:
    if as_json:
        json.dump(
            {"code": error.code, "message": error.message, "hint": error.hint, **error.fields}, sys.stdout, default=str
        )
        print()  # noqa: T201
        return
    console = Console(stderr=True)
    console.print(f"deb-mock: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    console.print(f"  what to do: {error.hint}", markup=False, highlight=False, soft_wrap=True)
    if "log" in error.fields:
        console.print(f"  log: {error.fields['log']}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
