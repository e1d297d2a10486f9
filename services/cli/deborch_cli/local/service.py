"""One of our services as a child process: started with its environment, ready when its /readyz says so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from deborch_cli.local import ports
from deborch_cli.local.files import private_directory
from deborch_cli.local.instance_lock import wait_until_free
from deborch_cli.local.server_process import ServerProcess
from deborch_shared.errors import DeborchError, ErrorCode


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """How to run it. `port_file` is where it writes the port that it listens on; its environment names it too."""

    name: str
    argv: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    """Asked at every start: addresses of what it needs may have changed since."""
    port_file: Path
    log: Path
    lock: Path
    start_timeout_s: float = 60.0
    stop_grace_s: float = 40.0


class Service:
    """A `Managed` child over a `ServiceSpec`."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._spec = spec
        self._process: ServerProcess | None = None
        self._port = 0

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def process(self) -> ServerProcess:
        """The child process.

        Raises:
            DeborchError: SERVICE_UNAVAILABLE if it was never started.
        """
        if self._process is None:
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, f"{self.name} was not started", hint="start it first")
        return self._process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ports.LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Start, and wait until it is ready.

        Raises:
            DeborchError: SERVICE_UNAVAILABLE with the end of its log.
        """
        private_directory(self._spec.port_file.parent)
        await wait_until_free(self._spec.lock, self.name)
        self._spec.port_file.unlink(missing_ok=True)
        environment = self._spec.environment()
        self._process = ServerProcess.start(
            self.name, self._spec.argv, log=self._spec.log, lock=self._spec.lock, env=environment
        )
        try:
            async with asyncio.timeout(self._spec.start_timeout_s):
                await self._ready()
        except TimeoutError:
            failure = self.process.failure(f"was not ready within {self._spec.start_timeout_s:g} s")
            await self.stop()
            raise failure from None

    async def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, which drains it, and SIGKILL if that takes too long."""
        if self._process is not None:
            await self._process.stop(grace_s=self._spec.stop_grace_s)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()

    async def _ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if not self.process.running:
                    raise self.process.failure("did not start")
                if await self._answers(session):
                    return
                await asyncio.sleep(0.03)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        self._port = _port_in(self._spec.port_file)
        if not self._port:
            return False
        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def _port_in(port_file: Path) -> int:
    try:
        return int(port_file.read_text())
    except (FileNotFoundError, ValueError):
        return 0
