"""Serving an application on a port, for as long as a context lasts."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from deborch_shared.errors import DeborchError, ErrorCode

_SHUTDOWN_TIMEOUT_S = 3.0


@asynccontextmanager
async def serve(
    app: web.Application,
    host: str,
    port: int,
    *,
    port_file: Path | None = None,
    listener: socket.socket | None = None,
) -> AsyncIterator[int]:
    """Listen, give the port in use, and on leaving finish the requests under way.

    `listener`: a socket from `bind`, for a service that must know its port before it has its application.

    Raises:
        DeborchError: PORT_TAKEN if another process has the port, INVALID_SETTING if the address is of no use.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        listener = listener or bind(host, port)
        site = web.SockSite(runner, listener)
        await site.start()
        in_use = int(listener.getsockname()[1])
        if port_file is not None:
            partial = port_file.with_suffix(".partial")
            partial.write_text(f"{in_use}\n")
            partial.replace(port_file)
        yield in_use
    finally:
        await runner.cleanup()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    listener.setblocking(False)
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> DeborchError:
    if error.errno == errno.EADDRINUSE:
        return DeborchError(
            ErrorCode.PORT_TAKEN,
            f"port {port} on {host} is taken",
            hint="stop what listens there, or set another port",
        )
    return DeborchError(
        ErrorCode.INVALID_SETTING,
        f"cannot listen on {host}, port {port}: {error.strerror}",
        hint="set an address of this machine, and a port above 1023 unless the service may take lower ones",
    )
