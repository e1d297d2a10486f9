"""How signals end the stack: the first one stops its parts in order, and only one that insists kills them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import typer

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_INTERRUPTED = 130


class Endable(Protocol):
    """What is ended: the local stack."""

    @property
    def stopping(self) -> bool:
        """True from the moment that it begins to stop its parts, for whatever reason."""

    def kill(self) -> None:
        """SIGKILL for whatever of it still runs."""


@asynccontextmanager
async def ended_by_signals(stack: Endable, tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Have SIGTERM and Ctrl-C end what runs inside.

    The first cancels it, unless it stops already. A stop is never interrupted: the next signal is answered with
    what one more would do, that one kills all parts, and any later one is no longer caught.

    Raises:
        typer.Exit: 130 if it was cancelled by a signal, or parts were killed.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("needs a task")
    loop = asyncio.get_running_loop()
    ending = _Ending(task, stack, tell)
    for number in _SIGNALS:
        loop.add_signal_handler(number, ending.signalled)
    try:
        yield
    except asyncio.CancelledError:
        if not ending.cancelled:
            raise
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    if ending.killed:
        raise typer.Exit(_INTERRUPTED)


class _Ending:
    """What the next signal does."""

    def __init__(self, task: "asyncio.Task[object]", stack: Endable, tell: Callable[[str], None]) -> None:
        self.cancelled = False
        self.killed = False
        self._warned = False
        self._task = task
        self._stack = stack
        self._tell = tell

    def signalled(self) -> None:
        if not self.cancelled and not self._stack.stopping:
            self.cancelled = True
            self._task.cancel()
        elif not self._warned:
            self._warned = True
            self._tell("Stopping already. One more signal kills what still runs; the next start then recovers.")
        else:
            self.killed = True
            for number in _SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)
            self._stack.kill()
