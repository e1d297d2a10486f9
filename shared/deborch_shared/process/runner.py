"""Run one program: own session, merged output, whole process group ended on timeout, overflow and cancellation."""

import asyncio
import inspect
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deborch_shared.errors import MAX_FOREIGN_CHARACTERS, DeborchError, ErrorCode, bounded
from deborch_shared.process.child import Child

OutputSink = Callable[[bytes], Awaitable[None] | None]

DEFAULT_MAX_OUTPUT_BYTES = 64 << 20
DEFAULT_KEPT_BYTES = 4 << 20
_CHUNK_BYTES = 64 << 10
_STRAGGLER_OUTPUT_S = 0.5
"""How long output of a process that left our session is read after the program itself has ended."""


class Running(Protocol):
    """A started program, as far as following it needs. `end` or `reap` is called exactly once."""

    async def read(self, limit_bytes: int) -> bytes:
        """Some output; empty at its end."""

    async def exited(self) -> None:
        """Wait until the program has ended."""

    def kill_group(self) -> None:
        """End at once whatever is left of it."""

    async def end(self, grace_s: float) -> None:
        """End it, gently first, and collect it."""

    def reap(self) -> tuple[int, float]:
        """Collect it after its end: exit code (negative: signal) and CPU seconds."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How it ended. `returncode` is negative for a signal; `output` is stdout and stderr as they came."""

    returncode: int
    output: bytes
    truncated: bool
    """True if `output` holds the last part only."""
    wall_s: float
    cpu_s: float
    """User and system time of the program and of those of its descendants that were waited for."""

    def failure(self, argv: Sequence[str]) -> DeborchError:
        """The error that `check` raises for it."""
        return _exit_failure(argv, self.returncode, self.output)


@dataclass(slots=True)
class _Output:
    """Counts everything, keeps the tail, and passes each chunk on."""

    sink: OutputSink | None
    limit_bytes: int
    kept_limit_bytes: int
    total_bytes: int = 0
    truncated: bool = False
    in_sink: bool = False
    _kept: bytearray = field(default_factory=bytearray)

    async def take(self, chunk: bytes) -> None:
        self.total_bytes += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * self.kept_limit_bytes:
            self._trim()
        if self.sink is not None:
            self.in_sink = True
            waiting = self.sink(chunk)
            if inspect.isawaitable(waiting):
                await waiting
            self.in_sink = False
        if self.total_bytes > self.limit_bytes:
            raise _TooMuchOutput

    def kept(self) -> bytes:
        if len(self._kept) > self.kept_limit_bytes:
            self._trim()
        return bytes(self._kept)

    def _trim(self) -> None:
        del self._kept[: len(self._kept) - self.kept_limit_bytes]
        self.truncated = True


class _TooMuchOutput(Exception):  # noqa: N818 - a signal inside this module, never seen outside
    pass


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    on_output: OutputSink | None = None,
    timeout_s: float | None = None,
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
    kept_bytes: int = DEFAULT_KEPT_BYTES,
    grace_s: float = 2.0,
    check: bool = True,
) -> ProcessResult:
    """Run `argv` (never a shell line) to its end and return how it went.

    The program starts in a new session. Whatever happens, nothing of its process group outlives this call: on
    timeout, overflow, cancellation or an error in `on_output` the group gets SIGTERM, and SIGKILL `grace_s`
    later; after a normal end what the program left behind in its group gets SIGKILL. A process that leaves
    the session on purpose is out of reach here: use the sandbox for programs that are not trusted.

    Args:
        env: the whole environment. None: PATH of this process and LANG=C.UTF-8, nothing else is inherited.
        stdin: what the program reads; None: nothing (/dev/null).
        on_output: gets each chunk of stdout and stderr as it comes; if it returns an awaitable, reading
            waits for it, so a slow receiver slows the program instead of filling memory.
        max_output_bytes: the program is ended once it has written more.
        kept_bytes: how much of the end of the output is kept for `ProcessResult.output`.
        check: raise if the exit code is not 0.

    Raises:
        DeborchError: PROCESS_FAILED (fields: reason = "start" | "exit" | "output-limit", returncode, output) or
            PROCESS_TIMEOUT (fields: timeout_s, output); both with a bounded tail of the output.
    """
    return await follow(
        _start(argv, cwd, env, stdin),
        argv,
        on_output=on_output,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        kept_bytes=kept_bytes,
        grace_s=grace_s,
        check=check,
    )


async def follow(
    child: Running,
    argv: Sequence[str],
    *,
    on_output: OutputSink | None = None,
    timeout_s: float | None = None,
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
    kept_bytes: int = DEFAULT_KEPT_BYTES,
    grace_s: float = 2.0,
    check: bool = True,
) -> ProcessResult:
    """What `run` does, for a program that was started elsewhere, such as in a sandbox; `argv` is for messages."""
    started_s = time.monotonic()
    output = _Output(on_output, max_output_bytes, kept_bytes)
    try:
        async with asyncio.timeout(timeout_s) as limit:
            await _read_to_end(child, output)
    except TimeoutError:
        await child.end(grace_s)
        if not limit.expired():
            raise
        raise _timeout(argv, timeout_s, output.kept()) from None
    except _TooMuchOutput:
        await child.end(grace_s)
        raise _overflow(argv, max_output_bytes, output.kept()) from None
    except BaseException:
        await child.end(grace_s)
        raise
    returncode, cpu_s = child.reap()
    kept = output.kept()
    if check and returncode != 0:
        raise _exit_failure(argv, returncode, kept)
    return ProcessResult(returncode, kept, output.truncated, time.monotonic() - started_s, cpu_s)


async def _read_to_end(child: Running, output: _Output) -> None:
    """Read until the program has ended and its output is read."""
    reading = asyncio.create_task(_pump(child, output))
    settling = asyncio.create_task(_settle(child, reading, output))
    try:
        await asyncio.wait((reading, settling), return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in (reading, settling):
            task.cancel()
        await asyncio.gather(reading, settling, return_exceptions=True)
    for task in (reading, settling):
        if not task.cancelled():
            task.result()


async def _pump(child: Running, output: _Output) -> None:
    while chunk := await child.read(_CHUNK_BYTES):
        await output.take(chunk)


async def _settle(child: Running, reading: asyncio.Task[None], output: _Output) -> None:
    """After the end of the program, stop reading once whoever still holds its output is silent."""
    await child.exited()
    child.kill_group()
    seen_bytes = -1
    while not reading.done() and (output.in_sink or seen_bytes != output.total_bytes):
        seen_bytes = output.total_bytes
        await asyncio.wait((reading,), timeout=_STRAGGLER_OUTPUT_S)
    reading.cancel()


def _start(argv: Sequence[str], cwd: Path | str | None, env: Mapping[str, str] | None, stdin: bytes | None) -> Child:
    try:
        return Child.start(argv, cwd=cwd, env=_default_environment() if env is None else env, stdin=stdin)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and (cwd is None or Path(cwd).is_dir())
        raise DeborchError(
            ErrorCode.PROCESS_FAILED,
            f"{argv[0]} could not be started: {error.strerror or error}",
            hint=f"install the package that holds {argv[0]}" if missing else "see the message of the system above",
            reason="start",
            returncode=None,
            output="",
        ) from error


def _default_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def _exit_failure(argv: Sequence[str], returncode: int, output: bytes) -> DeborchError:
    how = f"exit code {returncode}" if returncode > 0 else f"signal {-returncode}"
    return DeborchError(
        ErrorCode.PROCESS_FAILED,
        f"{_shown(argv)} failed with {how}: {_tail(output) or 'it said nothing'}",
        hint="the end of its output says why",
        reason="exit",
        returncode=returncode,
        output=_tail(output),
    )


def _overflow(argv: Sequence[str], limit_bytes: int, output: bytes) -> DeborchError:
    return DeborchError(
        ErrorCode.PROCESS_FAILED,
        f"{_shown(argv)} wrote more than {limit_bytes} bytes and was ended",
        hint="raise the output limit if that much output is meant",
        reason="output-limit",
        returncode=None,
        output=_tail(output),
    )


def _timeout(argv: Sequence[str], timeout_s: float | None, output: bytes) -> DeborchError:
    return DeborchError(
        ErrorCode.PROCESS_TIMEOUT,
        f"{_shown(argv)} took longer than {timeout_s:g} s and was ended; its last output: {_tail(output) or 'none'}",
        hint="raise the time limit, or find out what it waited for",
        timeout_s=timeout_s,
        output=_tail(output),
    )


def _shown(argv: Sequence[str]) -> str:
    return bounded(shlex.join(argv), 200)


def _tail(output: bytes) -> str:
    return output[-MAX_FOREIGN_CHARACTERS:].decode("utf-8", "replace").strip()
