"""One command's connection to the services."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from deborch_cli.credentials import Credentials, load_credentials
from deborch_cli.tokens import CachedToken
from deborch_shared.contract.base import Page
from deborch_shared.http import ApiClient

ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=BaseModel)
_PAGE_SIZE = 500
_DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """The hub and the auth service, each a client that sends our token."""

    hub: ApiClient
    auth: ApiClient


@asynccontextmanager
async def open_session(
    credentials: Credentials | None = None, *, timeout_s: float = _DEFAULT_TIMEOUT_S
) -> AsyncIterator[Session]:
    """Clients for the services that the credentials name (default: those of the login)."""
    used = credentials or load_credentials()
    token = CachedToken(used, timeout_s=timeout_s)
    async with (
        ApiClient(used.hub_url, token=token, timeout_s=timeout_s) as hub,
        ApiClient(used.auth_url, token=token, timeout_s=timeout_s) as auth,
    ):
        yield Session(hub, auth)


def with_session(use: Callable[[Session], Awaitable[ResultT]], *, credentials: Credentials | None = None) -> ResultT:
    """Run `use` in an event loop of its own; every command does this once."""

    async def run() -> ResultT:
        async with open_session(credentials) as session:
            return await use(session)

    return asyncio.run(run(), debug=bool(os.environ.get("DEBORCH_DEBUG")))


async def fetch_list(
    client: ApiClient, path: str, model: type[ModelT], *, limit: int, params: Mapping[str, Any] | None = None
) -> list[ModelT]:
    """Up to `limit` items of a list, page by page; parameters that are None are left out."""
    asked = {name: str(value) for name, value in (params or {}).items() if value is not None}
    items: list[ModelT] = []
    while len(items) < limit:
        asked["limit"] = str(min(_PAGE_SIZE, limit - len(items)))
        page = await client.get(path, Page[model], params=asked)  # type: ignore[valid-type]
        items += page.items
        if page.next is None:
            break
        asked["cursor"] = page.next
    return items
