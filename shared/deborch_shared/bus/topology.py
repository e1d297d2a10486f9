"""Every exchange and queue, once. Declared again at each connection, so that a fresh broker needs no operator."""

from dataclasses import dataclass, field
from typing import Literal

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

EVENTS = "deborch.events"
"""Topic exchange: what happened; routing key = event type."""
COMMANDS = "deborch.commands"
"""Direct exchange: what one host or composer is told; routing key = host name, or `composer_key`."""
DEAD = "deborch.dead"
"""Fanout exchange and queue for what no consumer can use."""
DELIVERY_LIMIT = 10


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue: its name, what it is bound to, whether it survives a restart (quorum) or not (transient)."""

    name: str
    exchange: str
    routing_keys: tuple[str, ...]
    kind: Literal["quorum", "transient"] = "quorum"
    message_ttl_s: float | None = None

    def arguments(self) -> dict[str, str | int]:
        arguments: dict[str, str | int] = {}
        if self.kind == "quorum":
            arguments = {
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": DEAD,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
        else:
            arguments = {"x-max-length": 10_000}
        if self.message_ttl_s is not None:
            arguments["x-message-ttl"] = round(self.message_ttl_s * 1000)
        return arguments


HUB_REPORTS = QueueSpec("hub.reports", EVENTS, ("task.started", "task.refused", "build.done"))
HUB_HEARTBEATS = QueueSpec("hub.heartbeats", EVENTS, ("host.heartbeat",), "transient", message_ttl_s=15)


HUB_COMPOSES = QueueSpec(
    "hub.composes",
    EVENTS,
    ("compose.started", "compose.phase.started", "compose.phase.done", "compose.done", "compose.released"),
)
HUB_COMPOSERS = QueueSpec("hub.composers", EVENTS, ("composer.heartbeat",), "transient", message_ttl_s=15)
COMPOSER_REQUESTS = QueueSpec("composer.requests", EVENTS, ("compose.requested",))
"""Shared by all composers: each request goes to one that has room, which claims the compose at the hub."""


def composer_key(composer: str) -> str:
    """The routing key of commands to one composer; no host name has a colon, so none is mistaken for it."""
    return f"composer:{composer}"


def composer_queue(composer: str) -> QueueSpec:
    """The queue of what one composer is told: cancels."""
    return QueueSpec(f"composer.{composer}.commands", COMMANDS, (composer_key(composer),))


def host_queue(host: str) -> QueueSpec:
    """The queue of one host's assignments and cancels."""
    return QueueSpec(f"host.{host}", COMMANDS, (host,))


@dataclass(frozen=True, slots=True)
class Topology:
    """The exchanges, which all have, and the queues that one process uses."""

    queues: tuple[QueueSpec, ...] = field(default=())

    async def declare(self, channel: AbstractChannel) -> None:
        """Make what is missing. A queue that exists with other arguments raises, as the broker does."""
        await channel.declare_exchange(EVENTS, ExchangeType.TOPIC, durable=True)
        await channel.declare_exchange(COMMANDS, ExchangeType.DIRECT, durable=True)
        await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
        dead = await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
        await dead.bind(DEAD)
        for spec in self.queues:
            await declare_queue(channel, spec)


async def declare_queue(channel: AbstractChannel, spec: QueueSpec) -> None:
    queue = await channel.declare_queue(spec.name, durable=spec.kind == "quorum", arguments=dict(spec.arguments()))
    for key in spec.routing_keys:
        await queue.bind(spec.exchange, key)
