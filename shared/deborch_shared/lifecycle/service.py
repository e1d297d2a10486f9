"""One service process: set up, run until SIGTERM or SIGINT, drain, leave.

A second signal ends it at once; so does a drain that takes too long, after it has said what was still in work.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from deborch_shared.errors import DeborchError
from deborch_shared.telemetry import configure_logging, configure_tracing

_log = logging.getLogger(__name__)
_NAMED = 20


class Lifecycle:
    """Tells the parts of a service when to stop. `drain_timeout_s` after the signal the process ends anyway."""

    def __init__(self, drain_timeout_s: float | None = None) -> None:
        self.stopping = asyncio.Event()
        self._drain_timeout_s = drain_timeout_s

    def install_signal_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self.stopping.is_set():
            _log.warning("second %s: ending at once", number.name)
            os._exit(130)
        _log.info("%s: draining", number.name)
        self.stopping.set()
        if self._drain_timeout_s is not None:
            # A thread of its own sees a loop that is blocked and an exit that waits for other threads, too.
            overdue = (asyncio.get_running_loop(), self._drain_timeout_s)
            timer = threading.Timer(self._drain_timeout_s, _end_anyway, overdue)
            timer.daemon = True
            timer.start()

    async def run_until_stopped(self, *parts: Awaitable[None]) -> None:
        """Run `parts` until one fails (raises) or the service is told to stop (they are cancelled)."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_as_coroutine(part), name=getattr(part, "__qualname__", None)) for part in parts]
            await self.stopping.wait()
            for task in tasks:
                task.cancel()


async def _as_coroutine(part: Awaitable[None]) -> None:
    await part


def _end_anyway(loop: asyncio.AbstractEventLoop, after_s: float) -> None:
    in_work = sorted(map(_awaited, asyncio.all_tasks(loop))) + _threads()
    more = f" and {len(in_work) - _NAMED} more" if len(in_work) > _NAMED else ""
    _log.error("ending after %g s of draining, still in work: %s%s", after_s, ", ".join(in_work[:_NAMED]), more)
    os._exit(1)


def _awaited(task: "asyncio.Task[Any]") -> str:
    """`HubProcess.duties > ArchiveWorker.run > in_thread`: what waits for what in a task."""
    chain = [task.get_name()] if not task.get_name().startswith("Task-") else []
    coroutine: object = task.get_coro()
    while isinstance(coroutine, Coroutine):
        chain.append(getattr(coroutine, "__qualname__", type(coroutine).__name__))
        coroutine = getattr(coroutine, "cr_await", None)
    return " > ".join(chain)


def _threads() -> list[str]:
    frames = sys._current_frames()
    return [
        f"thread {thread.name} in {frames[thread.ident].f_code.co_qualname}"
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident in frames
    ]


def run_service(
    name: str,
    main: Callable[[Lifecycle], Awaitable[None]],
    *,
    log_level: str = "INFO",
    otlp_endpoint: str | None = None,
    drain_timeout_s: float | None = None,
) -> None:
    """Run `main` on uvloop; a known error is one line on stderr and exit status 1, never a traceback.

    `drain_timeout_s`: when to end with exit status 1 though something still runs; None: never.
    """
    configure_logging(name, log_level)
    configure_tracing(name, otlp_endpoint)

    async def supervised() -> None:
        lifecycle = Lifecycle(drain_timeout_s)
        lifecycle.install_signal_handlers()
        await main(lifecycle)

    try:
        uvloop.run(supervised())
    except DeborchError as error:
        _log.critical("%s cannot run: %s", name, error, extra={"code": error.code.value, "hint": error.hint})
        sys.exit(1)
    except BaseExceptionGroup as group:
        known, unknown = group.split(DeborchError)
        for leaf in _leaves(known):
            _log.critical("%s cannot run on: %s", name, leaf)
        if unknown is not None:
            _log.critical("%s ends by an unexpected error", name, exc_info=unknown)
        sys.exit(1)
    except Exception as error:
        _log.critical("%s ends by an unexpected error", name, exc_info=error)
        sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException] | None) -> list[BaseException]:
    if group is None:
        return []
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
