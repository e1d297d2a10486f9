"""The user's terminal, joined to a pseudo-terminal that was made inside a sandbox.

The user's own terminal is never given to a sandbox: whoever holds it could type into it (TIOCSTI) or read from it
later. Keys travel through the sandbox's terminal, whose line discipline turns them into signals in there.
"""

import asyncio
import errno
import fcntl
import os
import signal
import struct
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 32 << 10
_MOST_WAITING_BYTES = 64 << 10


class UserTerminal:
    """The terminal at descriptor `source`, whose screen is `target`."""

    def __init__(self, source: int = 0, target: int = 1) -> None:
        self._source = source
        self._target = target

    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(self._source, termios.TIOCGWINSZ, bytes(8)))
        return rows, columns

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Every key is passed on as it is; the terminal is as before at the end."""
        before = termios.tcgetattr(self._source)
        try:
            tty.setraw(self._source)
            yield
        finally:
            termios.tcsetattr(self._source, termios.TCSADRAIN, before)

    async def relay(self, master: int) -> None:
        """Pass keys, output and window sizes on until the other end of `master` is closed by all who hold it."""
        os.set_blocking(master, False)
        joined = _Joined(self._source, self._target, master, asyncio.get_running_loop())
        with joined.window_sizes(self.size):
            try:
                joined.start()
                await joined.ended
            finally:
                joined.stop()


class _Joined:
    """Moves bytes both ways. What the sandbox does not read yet waits here, and then the user's keys wait too."""

    def __init__(self, source: int, target: int, master: int, loop: asyncio.AbstractEventLoop) -> None:
        self._source, self._target, self._master, self._loop = source, target, master, loop
        self._waiting = bytearray()
        self.ended: asyncio.Future[None] = loop.create_future()

    def start(self) -> None:
        self._loop.add_reader(self._source, self._take_keys)
        self._loop.add_reader(self._master, self._show)

    def stop(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)

    @contextmanager
    def window_sizes(self, size: Callable[[], tuple[int, int]]) -> Iterator[None]:
        def resize() -> None:
            with suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", *size(), 0, 0))

        self._loop.add_signal_handler(signal.SIGWINCH, resize)
        try:
            resize()
            yield
        finally:
            self._loop.remove_signal_handler(signal.SIGWINCH)

    def _take_keys(self) -> None:
        keys = os.read(self._source, _CHUNK_BYTES)
        if not keys:
            self._loop.remove_reader(self._source)
            return
        self._waiting += keys
        self._type()

    def _type(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting)]
        except BlockingIOError:
            self._loop.add_writer(self._master, self._type)
        except OSError:
            self._waiting.clear()
        else:
            self._loop.remove_writer(self._master)
        if len(self._waiting) > _MOST_WAITING_BYTES:
            self._loop.remove_reader(self._source)
        else:
            self._loop.add_reader(self._source, self._take_keys)

    def _show(self) -> None:
        try:
            shown = memoryview(os.read(self._master, _CHUNK_BYTES))
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                self._fail(error)
            elif not self.ended.done():
                self.ended.set_result(None)
            self._loop.remove_reader(self._master)
            return
        try:
            while shown:
                shown = shown[os.write(self._target, shown) :]
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
