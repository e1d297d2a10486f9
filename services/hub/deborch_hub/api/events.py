"""Events: what happens, as it happens, and what has happened since the last event that a watcher saw."""

from aiohttp import web
from pydantic import Field

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.sse import KEEP_ALIVE_S, LAST_EVENT_ID, EventStream, frame
from deborch_hub.store.event_feed import START, FeedEndedError, Position, Subscription, Wanted
from deborch_shared.contract.base import Input
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import EVENT_MODELS
from deborch_shared.events.composes import ComposeEvent, ImageTagged, RefPromoted
from deborch_shared.events.model import (
    ArchivePublished,
    AuditRecorded,
    BuildEvent,
    HostChanged,
    HostLost,
    HostRegistered,
    TaskEvent,
)
from deborch_shared.http import Call, Route
from deborch_shared.security import Permission

_RECORDED = (
    TaskEvent,
    BuildEvent,
    HostRegistered,
    HostLost,
    HostChanged,
    ArchivePublished,
    ComposeEvent,
    RefPromoted,
    ImageTagged,
    AuditRecorded,
)
EVENT_TYPES = sorted({name for (name, _), model in EVENT_MODELS.items() if issubclass(model, _RECORDED)})
"""What the hub records; reports of builders and commands to them stay on the bus."""


class EventQuery(Input):
    types: str | None = Field(None, max_length=1_000, description="Event types, separated by commas; all if not given")
    build_id: int | None = Field(None, ge=0, lt=2**63, description="Only events of this build and its tasks")
    task_id: int | None = Field(None, ge=0, lt=2**63, description="Only events of this task")
    compose_id: int | None = Field(None, ge=0, lt=2**63, description="Only events of this compose")
    follow: bool = Field(
        True, description="false: what is recorded by now, from the beginning or the id given, and the end"
    )


class EventRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/api/v1/events",
                self.watch,
                Permission.EVENT_READ,
                "Server-sent events: `data` is the CloudEvent, `event` its type, `id` where to resume",
                query=EventQuery,
                content_type="text/event-stream",
                request_headers={LAST_EVENT_ID: "The id of the last event that was got: those after it come first"},
            )
        ]

    async def watch(self, call: Call) -> web.StreamResponse:
        query = call.query_as(EventQuery)
        seen = call.request.headers.get(LAST_EVENT_ID)
        after = Position.parse(seen) if seen else None if query.follow else START
        stream = EventStream(call.request)
        async with self.deps.feed.subscribe(_wanted(query), after, follow=query.follow) as subscription, stream:
            if after is None:
                # An id without data is no event, but what a client that saw none yet resumes from.
                await stream.send(f"id: {subscription.position}\n\n".encode())
            await _relay(stream, subscription)
        return stream.response


async def _relay(stream: EventStream, subscription: Subscription) -> None:
    while True:
        try:
            events = await subscription.take(KEEP_ALIVE_S)
        except FeedEndedError as end:
            await stream.comment(f"ended: {end}; resume with {LAST_EVENT_ID}")
            return
        if events:
            await stream.send(b"".join(frame(event.type, event.body, str(event.position)) for event in events))
        else:
            await stream.keep_alive()


def _wanted(query: EventQuery) -> Wanted:
    types = None if query.types is None else frozenset(filter(None, query.types.split(",")))
    if types is not None and (unknown := types.difference(EVENT_TYPES)):
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"there is no event type {', '.join(sorted(unknown))}",
            hint=f"the types are {', '.join(EVENT_TYPES)}",
        )
    return Wanted(types or None, query.build_id, query.task_id, query.compose_id)
