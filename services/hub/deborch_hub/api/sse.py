"""Server-sent events (the EventSource format of the HTML standard) as a response."""

import asyncio
from types import TracebackType

from aiohttp import web

KEEP_ALIVE_S = 15.0
LAST_EVENT_ID = "Last-Event-ID"
_WRITE_TIMEOUT_S = 30.0
_RETRY_MS = 1_000


def frame(event: str, data: str, event_id: str) -> bytes:
    """One event, ready to send."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"id: {event_id}\nevent: {event}\n{lines}\n".encode()


class EventStream:
    """An open stream to one client. A client that goes away or does not read ends it without an error."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._sent_at = 0.0
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )

    async def __aenter__(self) -> "EventStream":
        await self.response.prepare(self._request)
        await self.send(f"retry: {_RETRY_MS}\n\n".encode())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, ConnectionError)

    async def send(self, frames: bytes) -> None:
        """Send frames; raises ConnectionError if the client is gone or has read nothing for too long."""
        try:
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                await self.response.write(frames)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionAbortedError("the client does not read") from None
        self._sent_at = asyncio.get_running_loop().time()

    async def comment(self, text: str) -> None:
        """Something that programs skip."""
        await self.send(f": {text}\n\n".encode())

    async def keep_alive(self) -> None:
        """A comment if nothing was sent for long, so that the client and what is between see that the stream lives."""
        if asyncio.get_running_loop().time() - self._sent_at >= KEEP_ALIVE_S:
            await self.comment("keep-alive")
