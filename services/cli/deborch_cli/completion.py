"""Names for the shell's completion, asked of the hub; a hub that does not answer at once completes nothing."""

import asyncio

from deborch_cli.session import fetch_list, open_session
from deborch_shared.contract.base import Output
from deborch_shared.errors import DeborchError

_TIMEOUT_S = 1.0


class _Named(Output):
    name: str


def target_names(incomplete: str) -> list[str]:
    return _names("/api/v1/targets", incomplete)


def host_names(incomplete: str) -> list[str]:
    return _names("/api/v1/hosts", incomplete)


def _names(path: str, incomplete: str) -> list[str]:
    try:
        names = asyncio.run(asyncio.wait_for(_fetch_names(path), _TIMEOUT_S))
    except (DeborchError, TimeoutError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _fetch_names(path: str) -> list[str]:
    async with open_session(timeout_s=_TIMEOUT_S) as session:
        return [item.name for item in await fetch_list(session.hub, path, _Named, limit=500)]
