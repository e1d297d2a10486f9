"""What has happened, and what a host is told to do: one frozen model per type and version.

CloudEvents 1.0, structured and batched mode. Only data belongs here: no connection, no topology, no handler.
"""

from deborch_shared.events import composes as _composes  # noqa: F401 - its models register themselves
from deborch_shared.events.envelope import (
    BATCH_CONTENT_TYPE,
    CONTENT_TYPE,
    Event,
    decode,
    encode,
    encode_batch,
    new_event,
    wire_form,
)
from deborch_shared.events.model import EVENT_MODELS, EventData

__all__ = [
    "BATCH_CONTENT_TYPE",
    "CONTENT_TYPE",
    "EVENT_MODELS",
    "Event",
    "EventData",
    "decode",
    "encode",
    "encode_batch",
    "new_event",
    "wire_form",
]
