"""Consumers that take whatever has arrived as one batch, and acknowledge it with one `multiple`.

A message that cannot be read goes to the dead letters. A handler that fails for a temporary reason (database away)
is tried again in place with back-off: giving the message back would use up its deliveries. A handler that fails for
good on a batch is called once per message, and only the message at fault goes to the dead letters.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from deborch_shared.bus.topology import QueueSpec
from deborch_shared.errors import DeborchError
from deborch_shared.events import CONTENT_TYPE, Event, decode
from deborch_shared.telemetry import batch_span

_log = logging.getLogger(__name__)
_received = Counter("deborch_bus_events_received_total", "Events taken from a queue", ["queue"])
_dead = Counter("deborch_bus_dead_letters_total", "Messages sent to the dead letters", ["queue", "reason"])
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 5.0
_CONSUME_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message: its events, how to answer it, and what is wrong with it if it cannot be read."""

    events: Sequence[Event]
    message: AbstractIncomingMessage
    problem: DeborchError | None = None


BatchHandler = Callable[[Sequence[Event]], Awaitable[None]]
"""Applies all events or raises; must be idempotent, since delivery is at least once."""


class Gate:
    """Whether a consumer takes messages, of a queue that others take from as well. Shut, it holds none back."""

    def __init__(self, *, is_open: bool = True) -> None:
        self._is_open = is_open
        self.on_change: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        return self._is_open

    def let(self, is_open: bool) -> None:
        """Open or shut it."""
        if is_open != self._is_open:
            self._is_open = is_open
            for callback in self.on_change:
                callback()


class BatchConsumer:
    """Feeds `handler` from one queue while its channel lives.

    `pause_s` between two batches: the first message after a rest is handled at once, in a rush batches are larger.
    """

    def __init__(
        self,
        spec: QueueSpec,
        handler: BatchHandler,
        *,
        prefetch: int = 500,
        pause_s: float = 0,
        gate: Gate | None = None,
    ) -> None:
        self.spec = spec
        self._pause_s = pause_s
        self._handler = handler
        self._prefetch = prefetch
        self._waiting: list[Delivery] = []
        self._arrived = asyncio.Event()
        self._lost = False
        self._gate = gate or Gate()
        self._gate.on_change.append(self._arrived.set)
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None
        self._count = _received.labels(spec.name)

    async def run(self, channel: AbstractChannel) -> None:
        """Consume until the task is cancelled.

        Raises:
            ConnectionResetError: the channel closed, or the broker ended the consumer (its queue was deleted).
        """
        self._waiting.clear()
        self._lost = False
        channel.close_callbacks.add(self._lose)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(self._lose)
        await channel.set_qos(prefetch_count=self._prefetch)
        self._queue, self._tag = await channel.get_queue(self.spec.name, ensure=False), None
        while True:
            await self._come_or_leave()
            await self._arrived.wait()
            self._arrived.clear()
            if self._lost:
                raise ConnectionResetError(f"the consumer of {self.spec.name} was ended")
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._settle(batch)
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)

    async def _come_or_leave(self) -> None:
        """Be a consumer of the queue while the gate is open."""
        if self._queue is None:
            return
        if self._gate.is_open and self._tag is None:
            self._tag = await self._queue.consume(self._take, timeout=_CONSUME_TIMEOUT_S)
        elif not self._gate.is_open and self._tag is not None:
            tag, self._tag = self._tag, None
            await self._queue.cancel(tag, timeout=_CONSUME_TIMEOUT_S)

    def _lose(self, *_: object) -> None:
        self._lost = True
        self._arrived.set()

    async def _take(self, message: AbstractIncomingMessage) -> None:
        try:
            delivery = Delivery(decode(message.body, message.content_type or CONTENT_TYPE), message)
        except DeborchError as error:
            delivery = Delivery((), message, error)
        self._count.inc(len(delivery.events))
        self._waiting.append(delivery)
        self._arrived.set()

    async def _settle(self, batch: Sequence[Delivery]) -> None:
        """Answer every message, the unreadable first: an acknowledgement with `multiple` must find none before it."""
        for delivery in batch:
            if delivery.problem is not None:
                await self._bury(delivery.message, delivery.problem, "unreadable")
        if readable := [delivery for delivery in batch if delivery.problem is None]:
            await self._apply(readable)

    async def _apply(self, batch: Sequence[Delivery]) -> None:
        events = [event for delivery in batch for event in delivery.events]
        parents = (event.traceparent for event in events if event.traceparent)
        try:
            with batch_span(f"{self.spec.name} process", parents, kind=SpanKind.CONSUMER):
                await self._handle_with_retry(events)
        except (AMQPError, ChannelInvalidStateError):
            raise
        except Exception as error:
            if len(batch) == 1:
                await self._bury(batch[0].message, error, "failed")
                return
            _log.warning("batch of %d failed, taking its messages one by one", len(batch), exc_info=error)
            for delivery in batch:
                await self._apply([delivery])
            return
        await self._come_or_leave()  # before the broker may send the next
        await batch[-1].message.ack(multiple=True)

    async def _handle_with_retry(self, events: Sequence[Event]) -> None:
        delay_s = _FIRST_RETRY_S
        while True:
            try:
                await self._handler(events)
            except DeborchError as error:
                if not error.temporary:
                    raise
                _log.warning("%s: %s; trying again in %.1f s", self.spec.name, error, delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_RETRY_S)
            else:
                return

    async def _bury(self, message: AbstractIncomingMessage, error: Exception, reason: str) -> None:
        _dead.labels(self.spec.name, reason).inc()
        _log.error(
            "message on %s goes to the dead letters: %s",
            self.spec.name,
            error,
            exc_info=reason == "failed" and error,
        )
        await message.reject(requeue=False)
