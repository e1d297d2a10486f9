"""The CloudEvents 1.0 envelope: structured mode for one event, batched mode for many of one routing key."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import ValidationError

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.events.model import EVENT_MODELS, EventData
from deborch_shared.ids import new_event_id

CONTENT_TYPE = "application/cloudevents+json"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
_SCHEMA_PREFIX = "urn:deborch:event:"
_VERSION = re.compile(r"[1-9][0-9]{0,5}\Z")
_REQUIRED = ("specversion", "id", "source", "type", "dataschema", "data")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the envelope's attributes and its typed data."""

    id: str
    source: str
    data: EventData
    time: datetime
    subject: str = ""
    traceparent: str = ""

    @property
    def type(self) -> str:
        return self.data.TYPE


def new_event(
    data: EventData, *, source: str, subject: str = "", traceparent: str = "", time: datetime | None = None
) -> Event:
    """An event that has just happened at `source` (a URI reference such as `/hub`)."""
    return Event(new_event_id(), source, data, time or datetime.now(UTC), subject, traceparent)


def wire_form(event: Event) -> dict[str, Any]:
    """The JSON object of `event`."""
    form: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "datacontenttype": "application/json",
        "dataschema": f"{_SCHEMA_PREFIX}{event.type}:{event.data.VERSION}",
        "data": event.data.model_dump(mode="json"),
    }
    if event.subject:
        form["subject"] = event.subject
    if event.traceparent:
        form["traceparent"] = event.traceparent
    return form


def encode(event: Event) -> bytes:
    return orjson.dumps(wire_form(event))


def encode_batch(events: Iterable[Event]) -> bytes:
    return orjson.dumps([wire_form(event) for event in events])


def decode(body: bytes, content_type: str = CONTENT_TYPE) -> Sequence[Event]:
    """The events in one message, of either mode.

    Raises:
        DeborchError: UNKNOWN_EVENT if the body is no CloudEvent, or its type and version are not in EVENT_MODELS.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DeborchError(ErrorCode.UNKNOWN_EVENT, f"message is not JSON: {error}") from None
    media_type = content_type.partition(";")[0].strip().lower()
    if (media_type == BATCH_CONTENT_TYPE) != isinstance(parsed, list):
        raise DeborchError(ErrorCode.UNKNOWN_EVENT, f"content type {bounded(content_type, 80)!r} does not fit the body")
    return [_read(form) for form in (parsed if isinstance(parsed, list) else [parsed])]


def _read(form: object) -> Event:
    if not isinstance(form, dict) or form.get("specversion") != "1.0" or any(key not in form for key in _REQUIRED):
        raise DeborchError(ErrorCode.UNKNOWN_EVENT, "message is not a CloudEvent 1.0 in structured mode")
    schema = str(form["dataschema"])
    name, _, version = schema.removeprefix(_SCHEMA_PREFIX).rpartition(":")
    model = EVENT_MODELS.get((name, int(version))) if _VERSION.match(version) and name == form["type"] else None
    if model is None:
        raise DeborchError(
            ErrorCode.UNKNOWN_EVENT,
            f"unknown event type {bounded(str(form['type']), 80)!r} with schema {bounded(schema, 120)!r}",
            hint="upgrade this service, or republish in a version that it knows",
        )
    try:
        return Event(
            id=str(form["id"]),
            source=str(form["source"]),
            data=model.model_validate(form["data"]),
            time=_aware(form["time"]) if form.get("time") else datetime.now(UTC),
            subject=str(form.get("subject") or ""),
            traceparent=str(form.get("traceparent") or ""),
        )
    except (ValidationError, ValueError, TypeError) as error:
        raise DeborchError(
            ErrorCode.UNKNOWN_EVENT, f"{name} does not fit its schema: {bounded(str(error), 500)}"
        ) from None


def _aware(text: str) -> datetime:
    """A time with its offset, as RFC 3339 wants it."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"time {bounded(text, 40)!r} has no offset from UTC")
    return time
