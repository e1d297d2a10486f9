"""Logs of attempts: written by offset by the builder, read whole, by range, or as they grow."""

import codecs
from contextlib import aclosing

import orjson
from aiohttp import web
from pydantic import Field

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import RANGE_HEADERS, REVALIDATE, send_file
from deborch_hub.api.log_access import AttemptWatch, WriterCheck
from deborch_hub.api.sse import LAST_EVENT_ID, EventStream, frame
from deborch_hub.store.reads.tasks import AttemptRecord, get_attempt
from deborch_shared.contract.base import Input
from deborch_shared.contract.payloads import LogPosition
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import Attempt, TaskId
from deborch_shared.security import Permission

_CHUNK_LIMIT_BYTES = 4 << 20


class LogQuery(Input):
    attempt: int | None = Field(None, ge=1, lt=2**31, description="Which attempt; the last one if not given")


class LogStreamQuery(LogQuery):
    offset: int = Field(0, ge=0, lt=2**63, description="From which byte on")


class LogAppendQuery(Input):
    offset: int = Field(ge=0, lt=2**63, description="Where in the log the body belongs, in bytes")


class LogRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps
        self._may_write = WriterCheck(deps.database)

    def table(self) -> list[Route]:
        one = "/api/v1/tasks/{task_id:int}"
        return [
            Route(
                "GET",
                f"{one}/log",
                self.read,
                Permission.LOG_READ,
                "The log of an attempt; the header X-Log-Complete says whether more may come",
                query=LogQuery,
                content_type="text/plain",
                request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE),
            ),
            Route(
                "GET",
                f"{one}/log/stream",
                self.follow,
                Permission.LOG_READ,
                "The log as it grows: events `chunk` and at last `end`; waits for the first attempt if there is none",
                query=LogStreamQuery,
                content_type="text/event-stream",
                request_headers={LAST_EVENT_ID: "The id of the last chunk that was got: the stream goes on behind it"},
                errors=(ErrorCode.NOT_FOUND,),
            ),
            Route(
                "PUT",
                f"{one}/attempts/{{attempt:int}}/log",
                self.append,
                Permission.TASK_REPORT,
                "Append a chunk at an offset; what is there already is skipped",
                query=LogAppendQuery,
                response=LogPosition,
                body_limit_bytes=None,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.CONFLICT, ErrorCode.TOO_LARGE, ErrorCode.DISK_FULL),
            ),
        ]

    async def read(self, call: Call) -> web.StreamResponse:
        task_id = TaskId(call.path_int("task_id"))
        record = await self._attempt(task_id, call.query_as(LogQuery))
        attempt = _attempt_of(record, task_id)
        headers = {"X-Log-Complete": "false" if record.ended_at is None else "true"}
        path = self.deps.logs.path_of(task_id, attempt)
        if self.deps.logs.size_of(task_id, attempt) == 0:
            return web.Response(text="", headers={**headers, "Cache-Control": REVALIDATE})
        return await send_file(
            call.request,
            path,
            content_type="text/plain; charset=utf-8",
            cache_control=REVALIDATE,
            headers=headers,
            dated=False,
        )

    async def follow(self, call: Call) -> web.StreamResponse:
        query, task_id = call.query_as(LogStreamQuery), TaskId(call.path_int("task_id"))
        offset = resumed_offset(call.request, query.offset)
        record = await self._attempt(task_id, query)
        if query.attempt is not None:
            _attempt_of(record, task_id)
        watch = AttemptWatch(self.deps.database, task_id, record)
        stream = EventStream(call.request)
        async with stream:
            while not await watch.begun() and not self.deps.logs.closed:
                await stream.keep_alive()
            await self._send_log(stream, task_id, watch, offset)
            end = orjson.dumps({"state": watch.record.task_state, "attempt": watch.record.attempt or 0}).decode()
            if watch.over:
                await stream.send(frame("end", end, "end"))
        return stream.response

    async def _send_log(self, stream: EventStream, task_id: TaskId, watch: AttemptWatch, offset: int) -> None:
        """Whole characters only: what is left of one at the end of a chunk goes with the next."""
        if watch.record.attempt is None:
            return
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        read = shown = offset
        async with aclosing(self.deps.logs.follow(task_id, watch.record.attempt, offset, watch.ended)) as chunks:
            async for chunk in chunks:
                text = decoder.decode(chunk)
                read += len(chunk)
                if text:
                    begin, shown = shown, read - len(decoder.getstate()[0])
                    await stream.send(log_chunk(begin, text, shown))
                else:
                    await stream.keep_alive()
        if watch.over and (rest := decoder.decode(b"", final=True)):
            await stream.send(log_chunk(shown, rest, read))

    async def append(self, call: Call) -> web.Response:
        task_id, number = TaskId(call.path_int("task_id")), call.path_int("attempt")
        if number >= 2**31:
            raise DeborchError(ErrorCode.NOT_FOUND, f"task {task_id} has no attempt {number}")
        attempt = Attempt(number)
        await self._may_write(task_id, attempt, call.principal)
        data = await bounded_body(call.request)
        offset = call.query_as(LogAppendQuery).offset
        return respond(LogPosition(size_bytes=await self.deps.logs.append(task_id, attempt, offset, data)))

    async def _attempt(self, task_id: TaskId, query: LogQuery) -> AttemptRecord:
        wanted = Attempt(query.attempt) if query.attempt is not None else None
        return await get_attempt(self.deps.database, task_id, wanted)


def _attempt_of(record: AttemptRecord, task_id: TaskId) -> Attempt:
    if record.attempt is None:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"task {task_id} has had {record.last_attempt} attempts, not that one",
            hint=f"`deborch task why {task_id}` says what it waits for",
        )
    return record.attempt


def log_chunk(begin: int, text: str, end: int) -> bytes:
    return frame("chunk", orjson.dumps({"offset": begin, "text": text}).decode(), str(end))


def resumed_offset(request: web.Request, offset: int) -> int:
    seen = request.headers.get(LAST_EVENT_ID, "")
    return int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 19 else offset


async def bounded_body(request: web.Request) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > _CHUNK_LIMIT_BYTES:
            raise DeborchError(
                ErrorCode.TOO_LARGE, f"a chunk may have {_CHUNK_LIMIT_BYTES} bytes", hint="send it in smaller ones"
            )
    return bytes(data)
