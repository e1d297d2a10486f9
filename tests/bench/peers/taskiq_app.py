"""taskiq's broker over RabbitMQ: durable queue, persistent messages, acknowledged when executed."""

import os
import socket

from taskiq_aio_pika import AioPikaBroker

broker = AioPikaBroker(os.environ["BENCH_BROKER"])
_done = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


@broker.task(task_name="noop")
async def noop() -> None:
    """Nothing, and tell that it was done: without results there is nobody to ask."""
    _done.sendto(b"1", os.environ["BENCH_DONE"])
