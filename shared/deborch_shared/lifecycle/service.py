"""One service process: set up, run until SIGTERM or SIGINT, drain, leave. A second signal ends it at once."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from deborch_shared.errors import DeborchError
from deborch_shared.telemetry import configure_logging, configure_tracing

_log = logging.getLogger(__name__)


class Lifecycle:
    """Tells the parts of a service when to stop."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()

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

    async def run_until_stopped(self, *parts: Awaitable[None]) -> None:
        """Run `parts` until one fails (raises) or the service is told to stop (they are cancelled)."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_as_coroutine(part)) for part in parts]
            await self.stopping.wait()
            for task in tasks:
                task.cancel()


async def _as_coroutine(part: Awaitable[None]) -> None:
    await part


def run_service(
    name: str,
    main: Callable[[Lifecycle], Awaitable[None]],
    *,
    log_level: str = "INFO",
    otlp_endpoint: str | None = None,
) -> None:
    """Run `main` on uvloop; a known error is one line on stderr and exit status 1, never a traceback."""
    configure_logging(name, log_level)
    configure_tracing(name, otlp_endpoint)

    async def supervised() -> None:
        lifecycle = Lifecycle()
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
