"""One child process with a session of its own, watched by its pidfd.

The pidfd tells of the end of the process while it is still a zombie, so that its process group number cannot
belong to anyone else when the group is killed, and `wait4` then gives its CPU time. Works under any event loop.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from deborch_shared.process.readable import readable


class Child:
    """A started process. Call `end` or `reap` exactly once."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._output = process.stdout.fileno() if process.stdout is not None else -1
        os.set_blocking(self._output, False)
        self._reaped = False

    @classmethod
    def start(cls, argv: Sequence[str], *, cwd: Path | str | None, env: Mapping[str, str], stdin: bytes | None) -> Self:
        """Start `argv`; its stdout and stderr go to one pipe.

        Raises:
            OSError: the program or `cwd` is missing or not permitted.
        """
        source = _as_file(stdin) if stdin is not None else None
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL if source is None else source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if source is not None:
                source.close()
        return cls(process)

    async def read(self, limit_bytes: int) -> bytes:
        """What the process wrote, up to `limit_bytes`, as soon as there is some; empty at the end of the output."""
        while True:
            try:
                return os.read(self._output, limit_bytes)
            except BlockingIOError:
                await readable(self._output)

    async def exited(self) -> None:
        """Wait until the process has ended. It stays a zombie until `reap`."""
        await readable(self._pidfd)

    def kill_group(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to every process of the group."""
        if not self._reaped:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def end(self, grace_s: float) -> None:
        """SIGTERM, then SIGKILL `grace_s` later or at once if this call is cancelled; then reap."""
        try:
            self.kill_group(signal.SIGTERM)
            async with asyncio.timeout(grace_s):
                await self.exited()
        except TimeoutError:
            pass
        finally:
            self.kill_group()
            self.reap()

    def reap(self) -> tuple[int, float]:
        """Collect the process, which has ended or was sent SIGKILL: exit code (negative: signal), CPU seconds."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._reaped = True
        self._process.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._pidfd)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.returncode, usage.ru_utime + usage.ru_stime


def _as_file(content: bytes) -> BinaryIO:
    """`content` as a file without a name: no pipe that could fill up, no file to remove."""
    source = os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC), "w+b")
    source.write(content)
    source.seek(0)
    return source
