"""One process's link to RabbitMQ: connects, declares its topology, consumes, and does it all again when cut."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, DeliveryMode
from aio_pika.exceptions import AMQPException, ChannelInvalidStateError, DeliveryError, PublishError
from prometheus_client import Counter, Gauge

from deborch_shared.bus.consumer import BatchConsumer, BatchHandler, Gate
from deborch_shared.bus.publisher import Publication
from deborch_shared.bus.topology import QueueSpec, Topology, declare_queue
from deborch_shared.cancellation import apart
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_log = logging.getLogger(__name__)
_published = Counter("deborch_bus_messages_published_total", "Messages confirmed by the broker", ["exchange"])
_connected = Gauge("deborch_bus_connected", "1 while the link to the broker is up", ["link"])
_RETRY_S = 0.5
_HEARTBEAT_S = 10
_CONNECT_TIMEOUT_S = 10
_CONFIRM_TIMEOUT_S = 15
_CLOSE_TIMEOUT_S = 2
_CANCEL_AGAIN_S = 0.2
_LOST = (AMQPException, ChannelInvalidStateError, OSError, TimeoutError, RuntimeError)


class Bus:
    """Publishes with confirms and runs consumers; `run` keeps it connected until it is cancelled."""

    def __init__(self, url: str, *, name: str, queues: Sequence[QueueSpec] = ()) -> None:
        self._url = url
        self._name = name
        self._gauge = _connected.labels(name)
        self._topology = Topology(tuple(queues))
        self._consumers: list[BatchConsumer] = []
        self._exchanges: dict[str, AbstractExchange] = {}
        self._channel: AbstractChannel | None = None
        self._up = asyncio.Event()
        self.on_connected: list[Callable[[], None]] = []

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def wait_connected(self) -> None:
        await self._up.wait()

    def consume(
        self,
        spec: QueueSpec,
        handler: BatchHandler,
        *,
        prefetch: int = 500,
        pause_s: float = 0,
        gate: Gate | None = None,
    ) -> None:
        """Feed `handler` from `spec`'s queue from the next connection on, while `gate` is open; call before `run`."""
        self._consumers.append(BatchConsumer(spec, handler, prefetch=prefetch, pause_s=pause_s, gate=gate))
        if spec not in self._topology.queues:
            self._topology = Topology((*self._topology.queues, spec))

    async def run(self) -> None:
        """Connect, and connect again whenever the link breaks, until cancelled."""
        while True:
            try:
                await apart(self._session())
                cause = "the broker closed it"
            except* _LOST as group:
                cause = _first(group)
            finally:
                self._forget()
            _log.warning("no link to the broker: %s; trying again", cause)
            await asyncio.sleep(_RETRY_S)

    async def _session(self) -> None:
        connection = await aio_pika.connect(
            self._url,
            timeout=_CONNECT_TIMEOUT_S,
            heartbeat=_HEARTBEAT_S,
            client_properties={"connection_name": self._name},
        )
        try:
            await self._work(connection)
        finally:
            with suppress(*_LOST, asyncio.CancelledError):
                await asyncio.wait_for(connection.close(), _CLOSE_TIMEOUT_S)

    async def _work(self, connection: AbstractConnection) -> None:
        """Declare, then consume until the connection, a channel or a consumer ends."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(lambda *_: _settle(ended))
        self._channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        self._channel.close_callbacks.add(lambda *_: _settle(ended))
        await self._topology.declare(self._channel)
        self._up.set()
        self._gauge.set(1)
        for callback in self.on_connected:
            callback()
        tasks = [asyncio.create_task(self._consume(connection, consumer)) for consumer in self._consumers]
        for task in tasks:
            task.add_done_callback(lambda _: _settle(ended))
        try:
            await ended
        finally:
            failures = await _stopped(tasks)
        if failures:
            raise failures[0]

    async def _consume(self, connection: AbstractConnection, consumer: BatchConsumer) -> None:
        await consumer.run(await connection.channel(publisher_confirms=False))

    def _forget(self) -> None:
        self._up.clear()
        self._gauge.set(0)
        self._channel = None
        self._exchanges.clear()

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Send all and wait until the broker has confirmed all.

        Raises:
            DeborchError: BROKER_UNAVAILABLE if any was not confirmed; then any of them may have arrived.
        """
        if not publications:
            return
        sends = [asyncio.ensure_future(self._publish_one(publication)) for publication in publications]
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, DeborchError):
                raise outcome
            if isinstance(outcome, (*_LOST, asyncio.CancelledError)):
                raise DeborchError(
                    ErrorCode.BROKER_UNAVAILABLE,
                    f"the broker did not confirm: {bounded(str(outcome) or type(outcome).__name__, 200)}",
                    hint="it is tried again by itself; see that RabbitMQ runs and is reachable",
                )
            if isinstance(outcome, BaseException):
                raise outcome

    async def declare(self, spec: QueueSpec) -> None:
        """See that a queue of another process is there.

        Raises:
            DeborchError: BROKER_UNAVAILABLE
        """
        if self._channel is None or not self._up.is_set():
            raise _no_link()
        try:
            await declare_queue(self._channel, spec)
        except _LOST as error:
            raise _no_link() from error

    async def _publish_one(self, publication: Publication) -> None:
        exchange = await self._exchange(publication.exchange)
        message = aio_pika.Message(
            publication.body,
            content_type=publication.content_type,
            delivery_mode=DeliveryMode.PERSISTENT if publication.durable else DeliveryMode.NOT_PERSISTENT,
        )
        try:
            await exchange.publish(
                message, publication.routing_key, mandatory=publication.mandatory, timeout=_CONFIRM_TIMEOUT_S
            )
        except (PublishError, DeliveryError) as error:
            raise DeborchError(
                ErrorCode.BROKER_UNAVAILABLE, f"the broker refused a message for {publication.routing_key}"
            ) from error
        _published.labels(publication.exchange).inc()

    async def _exchange(self, name: str) -> AbstractExchange:
        if self._channel is None or not self._up.is_set():
            raise _no_link()
        if name not in self._exchanges:
            self._exchanges[name] = await self._channel.get_exchange(name, ensure=False)
        return self._exchanges[name]


def _no_link() -> DeborchError:
    return DeborchError(
        ErrorCode.BROKER_UNAVAILABLE, "there is no link to the broker", hint="it is tried again by itself"
    )


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return bounded(str(error) or type(error).__name__, 200)


async def _stopped(tasks: Sequence["asyncio.Task[None]"]) -> list[BaseException]:
    """Cancel `tasks` until they are gone, and give what they failed with.

    Once is not enough, so that this is no TaskGroup: the driver swallows a cancellation that comes while it opens a
    channel, and the consumer would then wait for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
    return [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
