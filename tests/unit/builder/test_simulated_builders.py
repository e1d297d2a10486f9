"""The bench's builders answer like real ones, in as few messages."""

import asyncio
import socket
import time
from pathlib import Path

from tests.bench.simulated_builders import answering, sending_to
from tests.unit.builder.fakes import FakeClock, FakeLink, noop

from deborch_builder.reporter import Reporter
from deborch_shared.events import new_event
from deborch_shared.worker.spool import Spool


async def test_builders_that_answer_at_once_share_messages(tmp_path: Path) -> None:
    link = FakeLink()
    reporter = Reporter(link, Spool(tmp_path), FakeClock())
    starts: list[int] = []
    running = asyncio.create_task(reporter.run())
    handlers = [answering(f"sim{number}", reporter, starts.append) for number in range(1, 6)]
    await asyncio.gather(*(handle([new_event(noop(n), source="/hub")]) for n, handle in enumerate(handlers, 1)))
    running.cancel()
    assert [message.routing_key for message in link.messages] == ["build.done"]
    assert {event.source for event in link.events} == {f"/builder/sim{number}" for number in range(1, 6)}
    assert sorted(starts) == [1, 2, 3, 4, 5]


def test_each_start_is_sent_with_its_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "starts"))
        before_s = time.perf_counter()
        with sending_to(tmp_path / "starts") as send:
            send(42)
        task_id, at_s = receiver.recv(100).split()
    assert int(task_id) == 42
    assert before_s <= float(at_s) <= time.perf_counter()
