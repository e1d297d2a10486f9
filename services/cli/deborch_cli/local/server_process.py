"""One long-running child process: its output in a log file, ended when we end, however we end.

`setpriv --pdeathsig` (util-linux, part of every Debian) makes the kernel signal the child when the THREAD that
started it dies, so start children from the main thread.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deborch_cli.local.files import MEBIBYTE, private_directory
from deborch_cli.local.instance_lock import take
from deborch_shared.errors import DeborchError, ErrorCode, bounded

LOG_KEPT_BYTES = 10 * MEBIBYTE
_KILL_WAIT_S = 10.0
_SHOWN_LOG_BYTES = 64 << 10
_SHOWN_LINES = 15


class ServerProcess:
    """A running child. It was started; it may have died since."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path, log_begins_at: int) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._log_begins_at = log_begins_at

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        lock: Path,
        launcher: Sequence[str] = (),
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> "ServerProcess":
        """Start `argv` in a session of its own (Ctrl-C reaches us alone) with both outputs appended to `log`.

        `lock` is held for as long as it lives, see `instance_lock`.
        `launcher` is what runs before, such as unshare: it must exec, since changing user or user namespace
        clears the death signal, which is therefore set last.

        Raises:
            DeborchError: SERVICE_UNAVAILABLE if a program is missing.
        """
        private_directory(log.parent)
        _rotate(log)
        command = [*launcher, "setpriv", "--pdeathsig", death_signal.name.removeprefix("SIG"), *argv]
        held = take(lock, name)
        with log.open("ab") as output:
            begins_at = output.tell()
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(env),
                    start_new_session=True,
                    pass_fds=(held,),
                )
            except OSError as error:
                raise DeborchError(
                    ErrorCode.SERVICE_UNAVAILABLE,
                    f"{name} could not be started: {command[0]}: {error.strerror}",
                    hint="install util-linux, which brings setpriv and unshare",
                ) from error
            finally:
                os.close(held)
        return cls(name, process, log, begins_at)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.returncode is None

    async def wait(self) -> int:
        """Wait for its end without using a thread or polling."""
        while (code := self._process.poll()) is None:
            await _ended(self.pid)
        return code

    async def stop(self, *, grace_s: float, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and kill it `grace_s` later, or at once if this call is cancelled."""
        if not self.running:
            return
        self._process.send_signal(stop_signal)
        try:
            async with asyncio.timeout(grace_s):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, to it alone; returns when it is gone."""
        if self.running:
            self._process.kill()
            self._process.wait(_KILL_WAIT_S)

    def log_lines(self) -> list[str]:
        """What it has logged since this start, the last part of it if that is much."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_begins_at, self.log.stat().st_size - _SHOWN_LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()

    def failure(self, what: str, lines: Sequence[str] = ()) -> DeborchError:
        """The error to raise when it did not do what it should, with `lines` of its log, the last ones by default."""
        how = "" if self.running else f" (exit code {self.returncode})"
        shown = "\n".join(lines or self.log_lines()[-_SHOWN_LINES:])
        return DeborchError(
            ErrorCode.SERVICE_UNAVAILABLE,
            f"{self.name} {what}{how}; it said:\n{bounded(shown)}",
            hint=f"the whole log is {self.log}",
            log=str(self.log),
        )


async def _ended(pid: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, _settle, ended)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _rotate(log: Path) -> None:
    """Keep one older log, so that a log never grows without end over many starts."""
    if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
