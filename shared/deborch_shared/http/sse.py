"""Server-sent events as a client reads them (HTML Standard, section 9.2.6)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from deborch_shared.errors import DeborchError, ErrorCode

MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; `id` is the last id that the stream gave."""

    event: str
    data: str
    id: str


async def read_events(
    response: aiohttp.ClientResponse, parser: "EventParser | None" = None
) -> AsyncIterator[ServerSentEvent]:
    """The events of an open response, until it ends; comments are left out, half an event at the end is dropped.

    Raises:
        DeborchError: BAD_REQUEST if one event is larger than MAX_EVENT_BYTES.
    """
    parser = parser or EventParser()
    async for chunk in response.content.iter_any():
        for event in parser.feed(chunk):
            yield event


class EventParser:
    """Bytes in, as they come; events out, as they are whole.

    `last_id` is what to send as Last-Event-ID on resuming. It moves once an event is whole, and also by an id that
    comes with no data.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self._id = last_id
        self._event = ""
        self._data: list[str] = []
        self._size_bytes = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes."""
        buffered = self._rest + chunk
        # A carriage return at the very end may be the first half of CR LF: it waits for what follows.
        held = b"\r" if buffered.endswith(b"\r") else b""
        lines = buffered[: len(buffered) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        if len(self._rest) + self._size_bytes > MAX_EVENT_BYTES:
            raise DeborchError(ErrorCode.BAD_REQUEST, f"the service sent an event of more than {MAX_EVENT_BYTES} bytes")
        return [event for line in lines if (event := self._take(line.decode("utf-8", "replace"))) is not None]

    def _take(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        self._size_bytes += len(line) + 1
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._size_bytes = [], "", 0
        self.last_id = self._id
        return ServerSentEvent(event or "message", "\n".join(data), self._id) if data else None
