"""A user at a terminal: a program on a pseudo-terminal, keys typed into it, and what it shows."""

import asyncio
import os
import pty
import signal
import struct
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl


class Terminal:
    """Of one program."""

    def __init__(self, pid: int, keys: int) -> None:
        self._pid = pid
        self._keys = keys
        self.seen = b""

    async def see(self, text: bytes) -> None:
        """Wait until it has shown `text`."""
        async with asyncio.timeout(60):
            while text not in self.seen:
                self.seen += await asyncio.to_thread(os.read, self._keys, 4096)

    def type(self, keys: bytes) -> None:
        os.write(self._keys, keys)

    def resize(self, rows: int, columns: int) -> None:
        ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        os.kill(self._pid, signal.SIGWINCH)

    async def ended(self) -> int:
        """The exit code."""
        while True:
            try:
                self.seen += await asyncio.to_thread(os.read, self._keys, 4096)
            except OSError:  # all who had the terminal are gone
                break
        return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, self._pid, 0))[1])


@contextmanager
def on_a_terminal(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run `argv` on a terminal of 33 rows and 99 columns."""
    pid, keys = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, environment)  # noqa: S606 - a child of fork can do nothing else
    try:
        ioctl(keys, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
        yield Terminal(pid, keys)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        os.close(keys)
