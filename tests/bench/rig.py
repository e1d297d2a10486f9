"""What the life-cycle bench stands on: a stack of its own, simulated builders, the peers' workers, the load process.

All systems use the same PostgreSQL and RabbitMQ nodes, and all stay up for the whole run: one is loaded at a time,
each bears the others' idle cost.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deborch_cli.local.stack import LocalStack
from deborch_cli.session import open_session
from deborch_shared.contract.hosts import Host, HostChange
from deborch_shared.contract.states import HostState

BUILDERS = 50
_REAL_BUILDER = "real"
_CELERY = ("celery", "-A", "tests.bench.peers.celery_app", "worker", "--loglevel=WARNING")
_PROCRASTINATE = ("procrastinate", "--app", "tests.bench.peers.procrastinate_app.app")
_TASKIQ = ("taskiq", "worker", "--log-level", "WARNING", "tests.bench.peers.taskiq_app:broker")


@dataclass(frozen=True, slots=True)
class System:
    """Something that runs tasks: the load that drives it, and the worker that it needs."""

    name: str
    load: str
    worker: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Environment of load and worker; a value names another variable of the rig."""


OURS = System("ours", "ours")
CELERY_RPC = System("Celery, rpc results", "celery", _CELERY)
CELERY_POSTGRESQL = System(
    "Celery, PostgreSQL results", "celery", _CELERY, (("BENCH_RESULTS", "BENCH_CELERY_DATABASE"),)
)
PROCRASTINATE = System("Procrastinate", "procrastinate", (*_PROCRASTINATE, "worker"))
TASKIQ = System("taskiq-aio-pika", "taskiq", _TASKIQ)
PEERS = (CELERY_RPC, CELERY_POSTGRESQL, PROCRASTINATE, TASKIQ)


@dataclass(frozen=True, slots=True)
class Rig:
    """A running stack, and the environment of everything that is started beside it."""

    stack: LocalStack
    directory: Path
    environment: dict[str, str]

    async def load(self, system: System, count: int, submitters: int, *, rate: float = 0) -> dict[str, float]:
        """One run of the load process: `count` tasks by that many submitters, or at `rate` a second."""
        argv = [sys.executable, "-m", "tests.bench.load", system.load, str(count), str(submitters), str(rate)]
        process = await asyncio.create_subprocess_exec(
            *argv, env=self.environment_of(system), stdout=asyncio.subprocess.PIPE
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), 300)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise RuntimeError(f"the load of {system.name} failed; logs are in {self.directory}")
        outcome: dict[str, float] = json.loads(output.splitlines()[-1])
        return outcome

    async def rate(self, system: System, count: int, submitters: int) -> float:
        """Tasks a second of one run."""
        return count / (await self.load(system, count, submitters))["seconds"]

    def environment_of(self, system: System) -> dict[str, str]:
        return {**self.environment, **{name: self.environment[value] for name, value in system.variables}}


@asynccontextmanager
async def open_rig() -> AsyncIterator[Rig]:
    """A stack in a directory of its own, with the broker's and the server's corner for the peers."""
    with tempfile.TemporaryDirectory(prefix="deborch-bench-") as name:
        directory = Path(name)
        cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
        given = {**os.environ, "DEBORCH_BUILDER_CACHE_DIR": str(cache / "deb-mock")}
        if (cache / "rabbitmq").exists():
            (directory / "software").mkdir()
            (directory / "software" / "rabbitmq").symlink_to(cache / "rabbitmq")
        async with LocalStack(directory, lambda _: None, builder_name=_REAL_BUILDER, given=given) as stack:
            yield Rig(stack, directory, await _prepare(stack, directory))


async def _prepare(stack: LocalStack, directory: Path) -> dict[str, str]:
    if stack.postgres is None or stack.rabbitmq is None:
        raise RuntimeError("the bench needs servers of its own: unset DEBORCH_*_DATABASE_URL and DEBORCH_AMQP_URL")
    await stack.rabbitmq.add_vhost("peers")
    admin = await asyncpg.connect(stack.postgres.dsn("postgres"))
    try:
        for database in ("procrastinate", "celery"):
            await admin.execute(f"CREATE DATABASE {database}")
    finally:
        await admin.close()
    credentials = stack.admin_credentials()
    results = stack.postgres.dsn("celery")
    return {
        **os.environ,
        "PYTHONPATH": ".",
        "DEBORCH_HUB_URL": credentials.hub_url,
        "DEBORCH_AUTH_URL": credentials.auth_url,
        "DEBORCH_API_KEY": credentials.api_key,
        "DEBORCH_AMQP_URL": stack.endpoints.amqp_url,
        "BENCH_HUB_DSN": stack.endpoints.hub_database_url,
        "BENCH_DSN": stack.postgres.dsn("procrastinate"),
        "BENCH_BROKER": stack.rabbitmq.url("peers"),
        "BENCH_RESULTS": "rpc://",
        "BENCH_CELERY_DATABASE": "db+" + urlsplit(results)._replace(scheme="postgresql+psycopg").geturl(),
        "BENCH_RESULTS_DSN": results,
        "BENCH_STARTS": str(directory / "starts.socket"),
        "BENCH_DONE": str(directory / "done.socket"),
    }


@asynccontextmanager
async def simulated_builders(rig: Rig) -> AsyncIterator[None]:
    """50 builders that answer no-op tasks at once. The stack's real one gets none."""
    async with open_session(rig.stack.admin_credentials()) as session:
        await session.hub.post(f"/api/v1/hosts/{_REAL_BUILDER}/state", Host, HostChange(state=HostState.DISABLED))
    argv = [
        "-m",
        "tests.bench.simulated_builders",
        "--count",
        str(BUILDERS),
        "--starts",
        rig.environment["BENCH_STARTS"],
    ]
    log = rig.directory / "simulated-builders.log"
    async with _child(argv, rig.environment, log):
        began = time.monotonic()
        while "READY" not in (said := log.read_text()):
            if time.monotonic() - began > 60:
                raise RuntimeError(f"the simulated builders did not start: {said[-2000:]}")
            await asyncio.sleep(0.1)
        yield


@asynccontextmanager
async def workers(rig: Rig, systems: Sequence[System]) -> AsyncIterator[None]:
    """The peers' workers, each with the defaults that its own documentation starts it with."""
    said = rig.directory / "procrastinate-schema.log"
    with said.open("wb") as output:
        schema = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *_PROCRASTINATE,
            "schema",
            "--apply",
            env=rig.environment,
            stdout=output,
            stderr=output,
        )
    if await schema.wait() != 0:
        raise RuntimeError(f"Procrastinate's schema could not be made: {said.read_text()[-2000:]}")
    async with AsyncExitStack() as stack:
        for number, system in enumerate(systems):
            log = rig.directory / f"worker-{number}.log"
            await stack.enter_async_context(_child(["-m", *system.worker], rig.environment_of(system), log))
        yield


@asynccontextmanager
async def _child(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[None]:
    """A Python process for as long as the context lasts."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()
