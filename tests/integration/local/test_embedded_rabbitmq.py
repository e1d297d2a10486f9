"""A real RabbitMQ, started, killed and started again."""

import asyncio
from pathlib import Path

import aio_pika
import pytest
from aio_pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from deborch_cli.local import ports
from deborch_cli.local.rabbitmq import EmbeddedRabbitMQ
from deborch_cli.local.rabbitmq_files import RabbitMQFiles
from deborch_shared.errors import DeborchError, ErrorCode

QUORUM = {"x-queue-type": "quorum"}


async def test_a_confirmed_message_in_a_quorum_queue_survives_kill_9(own_rabbitmq: EmbeddedRabbitMQ):
    url = own_rabbitmq.url()
    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True)
    await channel.declare_queue("kept", durable=True, arguments=QUORUM)
    await asyncio.sleep(1)  # RabbitMQ notes a new quorum queue on disk half a second after it confirmed its making
    message = aio_pika.Message(b"still here", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, routing_key="kept")
    own_rabbitmq.kill()
    await own_rabbitmq.start()
    assert own_rabbitmq.url() == url
    async with await aio_pika.connect(url) as again:
        queue = await (await again.channel()).declare_queue("kept", durable=True, arguments=QUORUM)
        received = await queue.get(timeout=20)
        assert received.body == b"still here"
        await received.ack()


async def test_there_is_no_guest_and_a_wrong_password_is_refused(rabbitmq: EmbeddedRabbitMQ):
    for login in ("guest:guest", "deborch:wrong"):
        with pytest.raises((AMQPConnectionError, ProbableAuthenticationError)):
            await aio_pika.connect(f"amqp://{login}@127.0.0.1:{rabbitmq.port}/")


async def test_each_test_has_a_virtual_host_of_its_own(rabbitmq: EmbeddedRabbitMQ, amqp_url: str):
    async with await aio_pika.connect(amqp_url) as connection:
        await (await connection.channel()).declare_queue("mine", durable=True)
    async with await aio_pika.connect(rabbitmq.url()) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue("mine", passive=True)


async def test_a_port_that_was_asked_for_and_is_taken_is_an_error_with_a_hint(
    rabbitmq: EmbeddedRabbitMQ, rabbitmq_files: RabbitMQFiles, tmp_path: Path
):
    with pytest.raises(DeborchError) as caught:
        await EmbeddedRabbitMQ(tmp_path / "node", rabbitmq_files, port=rabbitmq.port).start()
    assert caught.value.code is ErrorCode.PORT_TAKEN
    assert caught.value.hint


async def test_a_node_that_cannot_start_says_why_from_its_log(rabbitmq_files: RabbitMQFiles, tmp_path: Path):
    broker = EmbeddedRabbitMQ(tmp_path / "node", rabbitmq_files, settings={"no.such.setting": "1"})
    with pytest.raises(DeborchError, match=r"no\.such\.setting") as caught:
        await broker.start()
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


async def test_it_listens_on_loopback_only_and_keeps_secrets_off_its_command_line(rabbitmq: EmbeddedRabbitMQ):
    import psutil

    node = psutil.Process(rabbitmq.server.pid)
    listening = [c.laddr for c in node.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {ports.LOOPBACK}
    assert rabbitmq.url().split(":")[2].split("@")[0] not in " ".join(node.cmdline())
