"""A typed client for our own APIs: models in, models out, problems raised as the errors that they were."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import orjson
from pydantic import BaseModel

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.http.problem import error_from_problem
from deborch_shared.telemetry import current_traceparent

ModelT = TypeVar("ModelT", bound=BaseModel)
TokenSource = Callable[[bool], Awaitable[str]]
"""Gives a token; called with True when the one given last was refused."""
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class ApiClient:
    """Calls to one base URL. Use as an async context manager."""

    def __init__(self, base_url: str, *, token: TokenSource | None = None, timeout_s: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ApiClient":
        self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, model: type[ModelT], *, params: Mapping[str, str] | None = None) -> ModelT:
        return model.model_validate_json(await self.call("GET", path, params=params))

    async def post(
        self,
        path: str,
        model: type[ModelT],
        body: BaseModel | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> ModelT:
        """A POST; it is tried again after a broken connection only with an idempotency key."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return model.model_validate_json(await self.call("POST", path, body=body, headers=headers))

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: BaseModel | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """One call with retries of what is temporary; the response's body.

        Raises:
            DeborchError: the problem that the service answered, or SERVICE_UNAVAILABLE if it cannot be reached.
        """
        repeatable = method in _IDEMPOTENT or bool(headers and "Idempotency-Key" in headers)
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                async with self.open(method, path, params=params, body=body, headers=headers) as response:
                    return await response.read()
            except DeborchError as error:
                if delay_s is None or not error.temporary or not repeatable:
                    raise
            await asyncio.sleep(delay_s)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - bytes, a model, or an async iterable of bytes
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One call without retries, its response open for streaming. A refused token is renewed once.

        A response with a status in `accept` is given back for its headers, where it would raise otherwise.
        """
        sent = dict(headers or {})
        if isinstance(body, BaseModel):
            body = body.model_dump_json(exclude_none=True).encode()
            sent["Content-Type"] = "application/json"
        if traceparent := current_traceparent():
            sent["traceparent"] = traceparent
        for renewed in (False, True):
            if self._token is not None:
                sent["Authorization"] = f"Bearer {await self._token(renewed)}"
            async with self._send(method, path, params, body, sent) as response:
                streamed = body is not None and not isinstance(body, bytes)
                if response.status == 401 and not renewed and self._token is not None and not streamed:
                    continue
                if response.status >= 400 and response.status not in accept:
                    raise await _error_of(response)
                yield response
                return

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Any,  # noqa: ANN401 - as in `open`
        headers: Mapping[str, str],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with ApiClient(...)`")
        request = self._session.request(method, f"{self.base_url}{path}", params=params, data=body, headers=headers)
        try:
            response = await request
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(self.base_url, error) from error
        async with response:
            try:
                yield response
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _unreachable(self.base_url, error) from error


async def _error_of(response: aiohttp.ClientResponse) -> DeborchError:
    raw = await response.content.read(65_536)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = {}
    return error_from_problem(response.status, body if isinstance(body, dict) else {})


def _unreachable(base_url: str, error: BaseException) -> DeborchError:
    return DeborchError(
        ErrorCode.SERVICE_UNAVAILABLE,
        f"{base_url} cannot be reached: {bounded(str(error) or type(error).__name__, 200)}",
        hint="see that the service runs (`deborch up` starts the local stack) and that the address is right",
    )
