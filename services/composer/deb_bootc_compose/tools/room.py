"""Running a program of a tools root, which sees nothing of the host but what it is given."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools import inside
from deb_bootc_compose.tools.port import Bound
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import OutputSink, ProcessResult
from deborch_shared.process.child import Child

_IMPORT_ROOTS = [str(Path(__file__).resolve().parents[2]), str(Path(process.__file__).resolve().parents[2])]
_START = f"import sys; sys.path += {_IMPORT_ROOTS!r}; from deb_bootc_compose.tools.inside import main; main()"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
}
_MAX_OUTPUT_BYTES = 256 << 20
_ENDS_WITHIN_S = 10.0
"""How long the kernel may take to end what runs, before the room is given up without having seen its end."""


def command(
    tools: Path,
    argv: Sequence[str],
    *,
    bound: Sequence[Bound] = (),
    cwd: str = "/",
    network: bool = False,
    terminal: bool = False,
) -> list[str]:
    """What this process has to start to run `argv` in the tools root at `tools`; `terminal`: on that of the user."""
    request = {
        "owner": os.getpid(),
        "tools": str(tools),
        "argv": list(argv),
        "bound": [
            {"source": str(one.path), "target": one.inside or str(one.path), "writable": one.writable} for one in bound
        ],
        "cwd": cwd,
        "network": network,
        "terminal": terminal,
    }
    return [sys.executable, "-I", "-S", "-c", _START, orjson.dumps(request).decode()]


async def run_in(
    tools: Path,
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
    """Run `argv`, with `env` added to a clean environment, and wait until all that it started is gone.

    Raises:
        DeborchError: what `process.run` raises, and SANDBOX_FAILED if the kernel refused a namespace or a mount.
    """
    require_root()
    line = command(tools, argv, bound=bound, cwd=cwd, network=network)
    result = await process.follow(
        Child.start(line, cwd=None, env=environment(env), stdin=stdin),
        argv,
        on_output=on_output,
        timeout_s=timeout_s,
        max_output_bytes=_MAX_OUTPUT_BYTES,
        grace_s=_ENDS_WITHIN_S,
        check=False,
    )
    if result.returncode in (inside.SETUP_FAILED, inside.EXEC_FAILED):
        _check_that_it_began(argv, result)
    if check and result.returncode != 0:
        raise result.failure(argv)
    return result


def environment(added: Mapping[str, str] | None) -> dict[str, str]:
    """All that a program sees of an environment."""
    return {**_ENVIRONMENT, **(added or {})}


def require_root() -> None:
    """Raise the error that says how to have root, for everyone else."""
    if os.geteuid() != 0:
        raise failure(
            FailureClass.HOST,
            ErrorCode.NEEDS_ROOT,
            "composing needs root: it mounts, and makes files of every owner",
            hint="run it as root: sudo deb-bootc-compose ...",
        )


def _check_that_it_began(argv: Sequence[str], result: ProcessResult) -> None:
    _, sign, said = result.output.decode("utf-8", "replace").rpartition(inside.SAYS)
    if not sign:
        return
    if result.returncode == inside.EXEC_FAILED:
        raise DeborchError(
            ErrorCode.PROCESS_FAILED,
            f"{argv[0]} could not be started in the tools root: {bounded(said.strip())}",
            hint="the tools root lacks the package that holds it",
            reason="start",
            returncode=None,
            output="",
        )
    raise failure(
        FailureClass.HOST,
        ErrorCode.SANDBOX_FAILED,
        f"no room could be made for {argv[0]}: {bounded(said.strip())}",
        hint="the message names the path or the system call; a compose needs root with all capabilities",
    )
