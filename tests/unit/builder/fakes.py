"""Fakes at the builder's ports: a clock, a link to the broker, a hub, a build engine."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deborch_builder.attempt_key import AttemptKey
from deborch_builder.engine_port import (
    BuildOrder,
    EngineResult,
    Environment,
    FetchOrder,
    LogSink,
    Sample,
    SampleSink,
    StageSink,
)
from deborch_shared.bus import Publication
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event, decode
from deborch_shared.events.model import AssignTask, EventData, Stage


class FakeClock:
    """Sleeping takes no time and is written down."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []
        self._monotonic_s = 1_000.0

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self._monotonic_s)

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, duration_s: float) -> None:
        self._monotonic_s += duration_s

    async def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.advance(duration_s)
        await asyncio.sleep(0)


class HeldClock(FakeClock):
    """Sleeping lasts until the test says `wake`."""

    def __init__(self) -> None:
        super().__init__()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        await self._woken.wait()
        self._woken.clear()
        self.advance(duration_s)


class FakeLink:
    """A broker that keeps what it confirmed, can be away, and can hold a confirm back."""

    def __init__(self) -> None:
        self.connected = True
        self.refusing = False
        self.messages: list[Publication] = []
        self.on_connected: list[Callable[[], None]] = []
        self.publishing = asyncio.Event()
        self.may_confirm = asyncio.Event()
        self.may_confirm.set()

    async def wait_connected(self) -> None:
        while not self.connected:
            await asyncio.sleep(0)

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.publishing.set()
        await self.may_confirm.wait()
        if not self.connected or self.refusing:
            raise DeborchError(ErrorCode.BROKER_UNAVAILABLE, "there is no link to the broker")
        self.messages.extend(publications)

    def come_back(self) -> None:
        self.connected = True
        for callback in self.on_connected:
            callback()

    @property
    def events(self) -> list[Event]:
        return [event for one in self.messages for event in decode(one.body, one.content_type)]

    def data(self, model: type[EventData]) -> list[EventData]:
        return [event.data for event in self.events if isinstance(event.data, model)]


class FakeHub:
    """A hub in dictionaries. `troubles` are raised, one by one, before anything works."""

    def __init__(self) -> None:
        self.troubles: list[DeborchError] = []
        self.logs: dict[AttemptKey, bytes] = {}
        self.fenced: set[AttemptKey] = set()
        self.blobs: dict[str, bytes] = {}
        self.partial: dict[str, bytes] = {}
        self.registered: list[HostRegister] = []
        self.breaks_after_bytes: int | None = None
        self.reads_from: list[int] = []

    def _trouble(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)

    async def register(self, host: HostRegister) -> HostRegistration:
        self._trouble()
        self.registered.append(host)
        return HostRegistration(id=1, name=host.name, queue=f"host.{host.name}", heartbeat_interval_s=5, lease_s=60)

    async def append_log(self, key: AttemptKey, offset: int, chunk: bytes) -> int:
        self._trouble()
        if key in self.fenced:
            raise DeborchError(ErrorCode.CONFLICT, f"attempt {key} is not the current attempt")
        have = self.logs.get(key, b"")
        if offset > len(have):
            raise DeborchError(ErrorCode.CONFLICT, "there is a gap", size_bytes=len(have))
        self.logs[key] = have + chunk[len(have) - offset :]
        return len(self.logs[key])

    async def bytes_of_blob(self, sha256: str) -> int | None:
        self._trouble()
        return None if sha256 in self.blobs else len(self.partial.get(sha256, b""))

    async def send_blob(self, sha256: str, chunks: AsyncIterator[bytes], *, offset: int, size_bytes: int) -> None:
        received = bytearray(self.partial.get(sha256, b""))
        assert offset == len(received)
        async for chunk in chunks:
            received += chunk
            if self.breaks_after_bytes is not None and len(received) >= self.breaks_after_bytes:
                self.partial[sha256] = bytes(received[: self.breaks_after_bytes])
                self.breaks_after_bytes = None
                raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "the connection broke")
        assert len(received) == size_bytes
        self.partial.pop(sha256, None)
        if hashlib.sha256(received).hexdigest() != sha256:
            raise DeborchError(ErrorCode.DIGEST_MISMATCH, "the blob has another digest")
        self.blobs[sha256] = bytes(received)

    async def read_blob(self, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        self._trouble()
        self.reads_from.append(offset)
        if sha256 not in self.blobs:
            raise DeborchError(ErrorCode.NOT_FOUND, f"there is no blob {sha256}")
        content = self.blobs[sha256]
        if self.breaks_after_bytes is not None:
            yield content[offset : self.breaks_after_bytes]
            self.breaks_after_bytes = None
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "the connection broke")
        yield content[offset:]

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256


class FakeEngine:
    """Writes a log and a .deb; `failure` is raised instead, `hold` makes builds last until released."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.hold = False
        self.unusable: DeborchError | OSError | None = None
        self.recoveries = 0
        self.collections = 0
        self.environments: list[str] = []
        self.preparing: list[Environment] = []
        self.preparations_last = False
        self.builds: list[BuildOrder] = []
        self.fetches: list[FetchOrder] = []
        self.canceled = 0
        self.closed = False
        self.building = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let held builds go on."""
        self._released.set()

    async def recover(self) -> None:
        self.recoveries += 1
        if self.unusable is not None:
            raise self.unusable

    async def prepare(self, environment: Environment) -> None:
        self.preparing.append(environment)
        if self.preparations_last:
            await self._held()
        self.environments.append(f"env:{environment.suite}")

    async def collect_garbage(self) -> None:
        self.collections += 1

    async def offers(self) -> Sequence[str]:
        return self.environments

    async def build(
        self, order: BuildOrder, *, on_log: LogSink, on_stage: StageSink, on_sample: SampleSink
    ) -> EngineResult:
        self.builds.append(order)
        on_stage("build")
        on_sample(Sample(cpu_s=1.25, memory_bytes=1 << 20))
        on_log(b"dpkg-buildpackage: building\n")
        self.building.set()
        if self.hold:
            await self._held()
        if self.failure is not None:
            raise self.failure
        deb = order.result_dir / "hello_2.10-3_amd64.deb"
        deb.write_bytes(b"a package built from " + order.dsc.read_bytes())
        return EngineResult((deb,), (Stage(name="build", wall_s=1.5, cpu_s=1.0),))

    async def fetch_source(self, order: FetchOrder, *, on_log: LogSink) -> EngineResult:
        self.fetches.append(order)
        on_log(b"fetching\n")
        if self.failure is not None:
            raise self.failure
        dsc, tarball = order.result_dir / "hello_2.10-3.dsc", order.result_dir / "hello_2.10.orig.tar.gz"
        dsc.write_bytes(b"Source: hello\n")
        tarball.write_bytes(b"sources")
        return EngineResult((dsc, tarball))

    async def close(self) -> None:
        self.closed = True

    async def _held(self) -> None:
        try:
            await self._released.wait()
        except asyncio.CancelledError:
            self.canceled += 1
            raise


def noop(task_id: int, *, attempt: int = 1, duration_s: float = 0.0, **fields: object) -> AssignTask:
    payload = {"duration_s": duration_s} if duration_s else {}
    return AssignTask(task_id=task_id, attempt=attempt, kind="noop", lease_s=60, payload=payload, **fields)


def build_task(hub: FakeHub, task_id: int = 7, *, attempt: int = 1, **fields: object) -> AssignTask:
    """The assignment of a build whose source is in `hub`."""
    dsc, tarball = b"Source: hello\nVersion: 2.10-3\n", b"the original sources"
    payload = {
        "target": "bookworm",
        "suite": "bookworm",
        "components": ["main"],
        "architecture": "amd64",
        "mode": "any+all",
        "dsc": {"name": "hello_2.10-3.dsc", "sha256": hub.keep(dsc), "size_bytes": len(dsc)},
        "files": [{"name": "hello_2.10.orig.tar.gz", "sha256": hub.keep(tarball), "size_bytes": len(tarball)}],
        "archives": [{"name": "bookworm", "sources": "Types: deb\nURIs: http://hub/archives/bookworm\n"}],
    }
    return AssignTask(
        task_id=task_id, attempt=attempt, kind="build-package", architecture="amd64", lease_s=60, payload=payload,
        **fields,
    )  # fmt: skip


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Wait until `condition` is true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
