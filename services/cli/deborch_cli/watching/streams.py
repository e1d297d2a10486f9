"""The hub's event and log streams, taken up again where they broke off."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from deborch_shared.contract.states import TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient
from deborch_shared.http.sse import EventParser, ServerSentEvent, read_events

AnswerT = TypeVar("AnswerT")
_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 5.0
GIVE_UP_AFTER_S = 120.0
"""How long a service may be away before a watcher gives up; a restart of the hub takes seconds."""


class Patience:
    """Waits longer and longer between attempts, and gives up in the end; anything that arrives renews it."""

    def __init__(self, give_up_after_s: float = GIVE_UP_AFTER_S) -> None:
        self._give_up_after_s = give_up_after_s
        self.renew()

    def renew(self) -> None:
        self._delay_s, self._waited_s = _FIRST_DELAY_S, 0.0

    async def wait_after(self, error: DeborchError | None) -> None:
        """Wait before the next attempt.

        Raises:
            DeborchError: `error`, if trying again cannot help or has been tried for too long.
        """
        if error is not None and (not error.temporary or self._waited_s >= self._give_up_after_s):
            raise error
        await asyncio.sleep(self._delay_s)
        self._waited_s += self._delay_s
        self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)


async def ask_patiently(ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """The answer, though the hub may be away for a while.

    Raises:
        DeborchError: what the hub refuses, or why it could not be reached for GIVE_UP_AFTER_S.
    """
    patience = Patience()
    while True:
        try:
            return await ask()
        except DeborchError as error:
            await patience.wait_after(error)


async def follow_events(
    hub: ApiClient, params: Mapping[str, str], *, last_id: str = "", patience: Patience | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """Events for ever, each at least once, from after `last_id` on.

    Raises:
        DeborchError: what the hub refuses, or why it could not be reached for GIVE_UP_AFTER_S.
    """
    patience = patience or Patience()
    while True:
        failure: DeborchError | None = None
        parser = EventParser(last_id)
        try:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            async with hub.open("GET", "/api/v1/events", params=params, headers=headers) as response:
                async for event in read_events(response, parser):
                    patience.renew()
                    yield event
        except DeborchError as error:
            failure = error
        last_id = parser.last_id
        await patience.wait_after(failure)


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The attempt is over; `state` is the task's."""

    state: TaskState
    attempt: int


async def follow_log(
    hub: ApiClient, task_id: int, *, attempt: int | None = None, patience: Patience | None = None
) -> AsyncGenerator[str | LogEnd, None]:
    """The text of an attempt's log as it grows, each byte once, then how it ended.

    Raises:
        DeborchError: NOT_FOUND if there is no such task, or why the hub could not be reached for GIVE_UP_AFTER_S.
    """
    patience, offset = patience or Patience(), 0
    while True:
        failure: DeborchError | None = None
        params = {"offset": str(offset)} | ({"attempt": str(attempt)} if attempt is not None else {})
        try:
            async with hub.open("GET", f"/api/v1/tasks/{task_id}/log/stream", params=params) as response:
                async for event in read_events(response):
                    patience.renew()
                    if event.event == "end":
                        yield _log_end(event.data)
                        return
                    if event.event == "chunk":
                        offset, text = _next_chunk(event, offset)
                        yield text
        except DeborchError as error:
            failure = error
        await patience.wait_after(failure)


def _next_chunk(event: ServerSentEvent, offset: int) -> tuple[int, str]:
    """Where the log goes on after a chunk, and its text: the id says it, since text may stand for broken bytes."""
    chunk = _object(event.data)
    text = str(chunk.get("text", ""))
    return int(event.id) if event.id.isdecimal() else offset + len(text.encode()), text


def _log_end(data: str) -> LogEnd:
    ended = _object(data)
    return LogEnd(TaskState(str(ended.get("state", TaskState.COMPLETED))), int(ended.get("attempt", 0)))


def _object(data: str) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise DeborchError(ErrorCode.BAD_REQUEST, "the hub's stream cannot be understood", hint="upgrade deborch")
    return found
