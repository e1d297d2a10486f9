"""A reader of server-sent events, as a browser has one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient


@dataclass(frozen=True)
class Message:
    id: str
    event: str
    data: str

    def json(self):
        return orjson.loads(self.data)


class Stream:
    """An open stream: `last_id` is what a client resumes with."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.last_id = ""
        self.comments: list[str] = []

    async def next(self, wait_s: float = 5.0) -> Message:
        """The next event; EOFError when the stream ends."""
        async with asyncio.timeout(wait_s):
            while True:
                fields = await self._block()
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    return Message(fields.get("id", ""), fields.get("event", "message"), fields["data"])

    async def take(self, count: int, wait_s: float = 10.0) -> list[Message]:
        return [await self.next(wait_s) for _ in range(count)]

    async def all(self) -> list[Message]:
        """Everything up to the end of the stream."""
        messages = []
        while True:
            try:
                messages.append(await self.next())
            except EOFError:
                return messages

    async def idle(self, wait_s: float = 0.3) -> bool:
        """True if nothing comes for that long."""
        try:
            await self.next(wait_s)
        except TimeoutError:
            return True
        return False

    async def _block(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while line := (await self._line()).rstrip("\n"):
            name, _, value = line.partition(": ")
            if name == "":
                self.comments.append(value)
            elif name == "data" and "data" in fields:
                fields["data"] += "\n" + value
            else:
                fields[name] = value
        return fields

    async def _line(self) -> str:
        line = await self.response.content.readline()
        if not line:
            raise EOFError
        return line.decode()


@asynccontextmanager
async def watching(
    client: TestClient, path: str, *, last_id: str | None = None, **params: object
) -> AsyncIterator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with client.get(f"/api/v1/{path}", params=params, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Stream(response)
