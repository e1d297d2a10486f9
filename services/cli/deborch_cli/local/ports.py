"""Free TCP ports on the loopback address."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """True if a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on. Another process may still take one before you do."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]


def kept_or_free(kept: list[int], count: int) -> list[int]:
    """The ports used last time if all of them are free still, so that clients find the server where it was."""
    return kept if len(kept) == count and all(map(is_free, kept)) else free_ports(count)
