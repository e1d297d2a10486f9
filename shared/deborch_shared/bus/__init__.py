"""RabbitMQ: topology as a table, confirmed publishing, batch consumers, reconnection. No business rule belongs here."""

from deborch_shared.bus.connection import Bus
from deborch_shared.bus.consumer import BatchHandler, Delivery, Gate
from deborch_shared.bus.publisher import Publication, publications
from deborch_shared.bus.topology import (
    COMMANDS,
    COMPOSER_REQUESTS,
    EVENTS,
    HUB_COMPOSERS,
    HUB_COMPOSES,
    HUB_HEARTBEATS,
    HUB_REPORTS,
    QueueSpec,
    Topology,
    composer_key,
    composer_queue,
    host_queue,
)

__all__ = [
    "COMMANDS",
    "COMPOSER_REQUESTS",
    "EVENTS",
    "HUB_COMPOSERS",
    "HUB_COMPOSES",
    "HUB_HEARTBEATS",
    "HUB_REPORTS",
    "BatchHandler",
    "Bus",
    "Delivery",
    "Gate",
    "Publication",
    "QueueSpec",
    "Topology",
    "composer_key",
    "composer_queue",
    "host_queue",
    "publications",
]
