"""Logs of a compose's phases: written by offset by its composer, read by range, or as they grow."""

import codecs
import re
import time
from contextlib import aclosing

import orjson
from aiohttp import web
from pydantic import Field

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import RANGE_HEADERS, REVALIDATE, send_file
from deborch_hub.api.logs import LogAppendQuery, bounded_body, log_chunk, resumed_offset
from deborch_hub.api.sse import LAST_EVENT_ID, EventStream, frame
from deborch_hub.store.reads.composes import get_compose
from deborch_shared.contract.base import Input
from deborch_shared.contract.composes import Compose, ComposePhase
from deborch_shared.contract.payloads import LogPosition
from deborch_shared.contract.states import ComposeState, PhaseState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.ids import Attempt, ComposeId
from deborch_shared.security import Permission

_PHASE = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_ASK_EVERY_S = 0.5
_GOING_ON = frozenset({PhaseState.WAITING, PhaseState.RUNNING})


class PhaseLogQuery(Input):
    attempt: int | None = Field(None, ge=1, lt=2**31, description="Which attempt of the compose; the last if not given")
    offset: int = Field(0, ge=0, lt=2**63, description="From which byte on; streams only")


class ComposeLogRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        one = "/api/v1/composes/{compose_id:int}"
        phase = "PHASE, or PHASE.VARIANT.ARCHITECTURE"
        return [
            Route(
                "GET", f"{one}/logs/{{phase}}", self.read, Permission.COMPOSE_READ, f"The log of a phase: {phase}",
                query=PhaseLogQuery, content_type="text/plain", request_headers=RANGE_HEADERS,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.RANGE_NOT_SATISFIABLE),
            ),
            Route(
                "GET", f"{one}/logs/{{phase}}/stream", self.follow, Permission.COMPOSE_READ,
                "The log as it grows: events `chunk` and at last `end`",
                query=PhaseLogQuery, content_type="text/event-stream",
                request_headers={LAST_EVENT_ID: "The id of the last chunk that was got: the stream goes on behind it"},
                errors=(ErrorCode.NOT_FOUND,),
            ),
            Route(
                "PUT", f"{one}/attempts/{{attempt:int}}/logs/{{phase}}", self.append, Permission.COMPOSE_REPORT,
                "Append a chunk at an offset; what is there already is skipped",
                query=LogAppendQuery, response=LogPosition, body_limit_bytes=None,
                errors=(ErrorCode.NOT_FOUND, ErrorCode.CONFLICT, ErrorCode.TOO_LARGE, ErrorCode.DISK_FULL),
            ),
        ]  # fmt: skip

    async def read(self, call: Call) -> web.StreamResponse:
        compose = await get_compose(self.deps.database, _compose_in(call))
        attempt = _attempt_of(compose, call.query_as(PhaseLogQuery).attempt)
        path = self.deps.logs.path_of_phase(ComposeId(compose.id), attempt, _phase_in(call))
        if not path.exists():
            return web.Response(text="", headers={"Cache-Control": REVALIDATE})
        return await send_file(
            call.request, path, content_type="text/plain; charset=utf-8", cache_control=REVALIDATE, dated=False
        )

    async def follow(self, call: Call) -> web.StreamResponse:
        query, phase = call.query_as(PhaseLogQuery), _phase_in(call)
        offset = resumed_offset(call.request, query.offset)
        compose = await get_compose(self.deps.database, _compose_in(call))
        attempt = _attempt_of(compose, query.attempt)
        watch = _PhaseWatch(self.deps, compose, attempt, phase)
        path = self.deps.logs.path_of_phase(ComposeId(compose.id), attempt, phase)
        stream = EventStream(call.request)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        read = shown = offset
        async with stream:
            async with aclosing(self.deps.logs.follow_at(path, offset, watch.ended)) as chunks:
                async for chunk in chunks:
                    text = decoder.decode(chunk)
                    read += len(chunk)
                    if text:
                        begin, shown = shown, read - len(decoder.getstate()[0])
                        await stream.send(log_chunk(begin, text, shown))
                    else:
                        await stream.keep_alive()
            if watch.over:
                await stream.send(frame("end", orjson.dumps({"state": watch.state}).decode(), "end"))
        return stream.response

    async def append(self, call: Call) -> web.Response:
        compose = await get_compose(self.deps.database, _compose_in(call))
        number = call.path_int("attempt")
        call.principal.require_host(compose.composer or "")
        if compose.attempt != number or compose.state is not ComposeState.RUNNING:
            raise DeborchError(
                ErrorCode.CONFLICT,
                f"attempt {number} of compose {compose.id} is over: the compose is {compose.state}",
                hint="stop the work on it and forget it",
            )
        path = self.deps.logs.path_of_phase(ComposeId(compose.id), Attempt(number), _phase_in(call))
        offset = call.query_as(LogAppendQuery).offset
        size = await self.deps.logs.append_at(path, offset, await bounded_body(call.request))
        return respond(LogPosition(size_bytes=size))


class _PhaseWatch:
    """One phase as it goes on; asks the database at most twice a second."""

    def __init__(self, deps: ApiDeps, compose: Compose, attempt: Attempt, phase: str) -> None:
        self._deps = deps
        self._compose = compose
        self._attempt = attempt
        self._phase = phase
        self._asked_at = time.monotonic()

    @property
    def state(self) -> str:
        """Of the phase, if it is planned."""
        return next((phase.state.value for phase in self._compose.phases if _node(phase) == self._phase), "")

    @property
    def over(self) -> bool:
        if self._compose.attempt != self._attempt or self._compose.state.is_terminal:
            return True
        return any(_node(phase) == self._phase and phase.state not in _GOING_ON for phase in self._compose.phases)

    async def ended(self) -> bool:
        if not self.over and time.monotonic() - self._asked_at >= _ASK_EVERY_S:
            self._asked_at = time.monotonic()
            self._compose = await get_compose(self._deps.database, self._compose.id)
        return self.over


def _node(phase: ComposePhase) -> str:
    name, target = phase.phase, phase.target
    return f"{name}.{target}" if target else name


def _compose_in(call: Call) -> ComposeId:
    return ComposeId(call.path_int("compose_id"))


def _phase_in(call: Call) -> str:
    phase = call.path("phase")
    if len(phase) > 240 or _PHASE.fullmatch(phase) is None:
        raise DeborchError(
            ErrorCode.NOT_FOUND, "there is no such phase", hint="its name is PHASE or PHASE.VARIANT.ARCHITECTURE"
        )
    return phase


def _attempt_of(compose: Compose, wanted: int | None) -> Attempt:
    if wanted is not None and wanted > compose.attempt:
        raise DeborchError(ErrorCode.NOT_FOUND, f"compose {compose.id} has had {compose.attempt} attempts only")
    return Attempt(wanted or compose.attempt)
