"""What is published: a body for an exchange and key. Events of one routing key travel together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from deborch_shared.bus.topology import EVENTS
from deborch_shared.events import BATCH_CONTENT_TYPE, CONTENT_TYPE, Event, encode, encode_batch

MAX_EVENTS_PER_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class Publication:
    """One message. `durable` ones are written to disk by the broker before they are confirmed."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str = CONTENT_TYPE
    durable: bool = True
    mandatory: bool = False


def publications(events: Iterable[Event], *, exchange: str = EVENTS, durable: bool = True) -> list[Publication]:
    """As few messages as carry `events`, each of one type, in the order of their first event."""
    by_type: dict[str, list[Event]] = {}
    for event in events:
        by_type.setdefault(event.type, []).append(event)
    messages: list[Publication] = []
    for key, group in by_type.items():
        for _, chunk in groupby(enumerate(group), key=lambda item: item[0] // MAX_EVENTS_PER_MESSAGE):
            part = [event for _, event in chunk]
            single = len(part) == 1
            messages.append(
                Publication(
                    exchange,
                    key,
                    encode(part[0]) if single else encode_batch(part),
                    CONTENT_TYPE if single else BATCH_CONTENT_TYPE,
                    durable,
                )
            )
    return messages
