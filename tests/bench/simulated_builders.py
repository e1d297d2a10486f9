"""Many builders in one process that answer no-op assignments at once, through the builder's own reporting code.

Each has its own enrolment, key, name and queue; they share one connection and one `Reporter`, so that what costs
CPU here is what a report costs, not fifty processes. Run as `python -m tests.bench.simulated_builders`; prints READY
once every builder is registered and consumes. SIGTERM ends it.

Environment: DEBORCH_HUB_URL, DEBORCH_AUTH_URL, DEBORCH_AMQP_URL, DEBORCH_API_KEY (of an admin, to enrol).
"""

import argparse
import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from deborch_builder.hub import HttpHub
from deborch_builder.registration import register
from deborch_builder.reporter import Report, Reporter
from deborch_shared.bus import BatchHandler, Bus, host_queue
from deborch_shared.clock import SystemClock
from deborch_shared.contract.auth import Enrol, EnrolmentCreate, EnrolmentToken, NewKey
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.events import Event, new_event
from deborch_shared.events.model import AssignTask, BuildDone, HostHeartbeat, TaskStarted
from deborch_shared.http import ApiClient
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.worker.credentials import AccessTokens
from deborch_shared.worker.heartbeat import Heartbeats
from deborch_shared.worker.spool import Spool

_GIB = 1024**3
_AT_ONCE = 8
StartSink = Callable[[int], object]
"""Gets the id of each task as it starts."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate. `starts`: a unix datagram socket that gets `TASK_ID PERF_COUNTER` of each start."""

    count: int
    prefix: str
    architecture: str
    starts: Path | None


def answering(host: str, reporter: Reporter, on_start: StartSink | None) -> BatchHandler:
    """The handler of one builder's queue: each assignment is started and done in the same breath."""

    async def handle(events: Sequence[Event]) -> None:
        reports: list[Report] = []
        for event in events:
            task = event.data
            if not isinstance(task, AssignTask):
                continue
            if on_start is not None:
                on_start(task.task_id)
            reports.append(TaskStarted(task_id=task.task_id, attempt=task.attempt, host=host))
            reports.append(BuildDone(task_id=task.task_id, attempt=task.attempt, host=host, succeeded=True))
        await reporter.report(*reports)

    return handle


@contextmanager
def sending_to(path: Path | None) -> Iterator[StartSink | None]:
    """A sink that writes to the datagram socket at `path`. A full socket delays the builders: read it fast."""
    if path is None:
        yield None
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:

        def send(task_id: int) -> None:
            with suppress(FileNotFoundError, ConnectionRefusedError):  # nobody reads now
                sender.sendto(f"{task_id} {time.perf_counter()!r}".encode(), str(path))

        yield send


class Fleet:
    """Enrols and registers all builders, and wires their queues to one reporter."""

    def __init__(self, options: Options, directory: Path, lifecycle: Lifecycle) -> None:
        self._options = options
        self._lifecycle = lifecycle
        self._clock = SystemClock()
        self._hub_url, self._auth_url = os.environ["DEBORCH_HUB_URL"], os.environ["DEBORCH_AUTH_URL"]
        self._bus = Bus(os.environ["DEBORCH_AMQP_URL"], name="simulated builders")
        self._reporter = Reporter(self._bus, Spool(directory), self._clock)
        self._names = [f"{options.prefix}{number}" for number in range(1, options.count + 1)]
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            auth = await stack.enter_async_context(ApiClient(self._auth_url))
            as_admin = AccessTokens(auth, os.environ["DEBORCH_API_KEY"], self._clock)
            admin = await stack.enter_async_context(ApiClient(self._auth_url, token=as_admin))
            async with asyncio.TaskGroup() as group:
                joining = [group.create_task(self._join(name, auth, admin)) for name in self._names]
        registration = joining[0].result()
        heartbeats = Heartbeats(self._bus, self._beats, self._clock).run(registration.heartbeat_interval_s)
        with sending_to(self._options.starts) as on_start:
            for name in self._names:
                self._bus.consume(host_queue(name), answering(name, self._reporter, on_start))
            await self._lifecycle.run_until_stopped(self._bus.run(), self._reporter.run(), heartbeats, self._announce())

    async def _join(self, name: str, auth: ApiClient, admin: ApiClient) -> HostRegistration:
        async with self._slots:
            allowed = await admin.post("/api/v1/enrolments", EnrolmentToken, EnrolmentCreate(host=name))
            redeemed = Enrol(host=name, enrolment_token=SecretStr(allowed.enrolment_token))
            key = await auth.post("/api/v1/enrol", NewKey, redeemed)
            token = AccessTokens(auth, key.api_key, self._clock)
            async with ApiClient(self._hub_url, token=token) as client:
                return await register(HttpHub(client), self._described(name), self._clock)

    def _described(self, name: str) -> HostRegister:
        return HostRegister(
            name=name,
            architectures=(self._options.architecture,),
            cpu=64,
            memory_bytes=256 * _GIB,
            disk_bytes=1024 * _GIB,
            versions={"simulated": "1"},
        )

    def _beats(self) -> Sequence[Event]:
        return [new_event(HostHeartbeat(host=name), source=f"/builder/{name}") for name in self._names]

    async def _announce(self) -> None:
        await self._bus.wait_connected()
        print("READY", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Builders that answer no-op tasks at once, for the life-cycle bench.")
    parser.add_argument("--count", type=int, default=50, help="how many builders")
    parser.add_argument("--prefix", default="sim", help="their names are the prefix and a number")
    parser.add_argument("--architecture", default="amd64", help="what they register")
    parser.add_argument("--starts", type=Path, help="unix datagram socket that gets TASK_ID PERF_COUNTER of each start")
    options = Options(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="simulated-builders-") as directory:
        run_service(
            "simulated-builders",
            lambda lifecycle: Fleet(options, Path(directory), lifecycle).run(),
            log_level=os.environ.get("DEBORCH_LOG_LEVEL", "WARNING"),
        )


if __name__ == "__main__":
    main()
