"""The durable life cycle of a no-op task beside Celery, Procrastinate and taskiq, and what the stack costs when idle.

All run on the same PostgreSQL and RabbitMQ nodes, fsync on, in interleaved rounds of one run; medians are compared.
Run alone: `python -m tests.bench.lifecycle [--quick]`.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from tests.bench.figures import Figure, publish

from deborch_cli.local.stack import LocalStack

REPORT = Path("build/bench/lifecycle.json")
BUILDERS = 50


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    tasks: int
    rounds: int
    finished: int
    queued: int
    idle_s: float


FULL = Size(tasks=2000, rounds=3, finished=1_000_000, queued=20_000, idle_s=20)
QUICK = Size(tasks=600, rounds=1, finished=50_000, queued=2_000, idle_s=8)


@dataclass
class Bench:
    """A running stack, the peers' workers, and what was measured: seconds a round by system and submitters."""

    stack: LocalStack
    directory: Path
    size: Size
    environment: dict[str, str]
    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    fleets: int = 0

    async def load(self, system: str, count: int, submitters: int, rate: float = 0, **more: str) -> dict[str, float]:
        """One run of the load process."""
        module = system.split("-", maxsplit=1)[0]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.load", module, str(count), str(submitters), str(rate),
            env={**self.environment, **more}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(process.communicate(), 300)
        if process.returncode != 0:
            raise RuntimeError(f"the load of {system} failed")
        outcome: dict[str, float] = json.loads(output.splitlines()[-1])
        return outcome

    async def measure(self, system: str, submitters: int, **more: str) -> None:
        """One round: tasks a second."""
        outcome = await self.load(system, self.size.tasks, submitters, **more)
        rate = self.size.tasks / outcome["seconds"]
        self.rates.setdefault((system, submitters), []).append(rate)
        print(f"  {system:<16} {submitters:>3} submitters  {rate:8.0f} tasks/s", flush=True)

    def median(self, system: str, submitters: int) -> float:
        return statistics.median(self.rates[system, submitters])


@asynccontextmanager
async def child(argv: list[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[None]:
    """A process for as long as the context lasts."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=output, stderr=output)
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


@asynccontextmanager
async def prepared(size: Size) -> AsyncIterator[Bench]:
    """The stack with all that the load and the peers must know."""
    with tempfile.TemporaryDirectory(prefix="deborch-bench-") as name:
        directory = Path(name)
        cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
        given = {**os.environ, "DEBORCH_BUILDER_CACHE_DIR": str(cache / "deb-mock")}
        if (cache / "rabbitmq").exists():
            (directory / "software").mkdir()
            (directory / "software" / "rabbitmq").symlink_to(cache / "rabbitmq")
        async with LocalStack(directory, lambda _: None, builder_name="real", given=given) as stack:
            if stack.postgres is None or stack.rabbitmq is None:
                raise RuntimeError("the bench needs servers of its own: unset DEBORCH_*_DATABASE_URL, DEBORCH_AMQP_URL")
            await stack.rabbitmq.add_vhost("peers")
            admin = await asyncpg.connect(stack.postgres.dsn("postgres"))
            for database in ("procrastinate", "celery"):
                await admin.execute(f"CREATE DATABASE {database}")
            await admin.close()
            credentials, broker = stack.admin_credentials(), stack.rabbitmq.url("peers")
            results = stack.postgres.dsn("celery").replace("postgresql://", "postgresql+psycopg://")
            environment = {
                **os.environ,
                "DEBORCH_HUB_URL": credentials.hub_url,
                "DEBORCH_AUTH_URL": credentials.auth_url,
                "DEBORCH_API_KEY": credentials.api_key,
                "DEBORCH_AMQP_URL": stack.endpoints.amqp_url,
                "BENCH_HUB_DSN": stack.endpoints.hub_database_url,
                "BENCH_DSN": stack.postgres.dsn("procrastinate"),
                "BENCH_BROKER": broker,
                "BENCH_RESULTS": "rpc://",
                "BENCH_CELERY_DATABASE": f"db+{results}",
                "BENCH_STARTS": str(directory / "starts.socket"),
                "BENCH_DONE": str(directory / "done.socket"),
            }
            yield Bench(stack, directory, size, environment)


@asynccontextmanager
async def simulated_builders(bench: Bench) -> AsyncIterator[None]:
    log = bench.directory / "simulated.log"
    bench.fleets += 1
    argv = [sys.executable, "-m", "tests.bench.simulated_builders", "--count", str(BUILDERS),
            "--prefix", f"fleet{bench.fleets}-",
            "--starts", bench.environment["BENCH_STARTS"]]  # fmt: skip
    async with child(argv, bench.environment, log):
        began = time.monotonic()
        while "READY" not in (said := log.read_text()):
            if time.monotonic() - began > 60:
                raise RuntimeError(f"the simulated builders did not start: {said[-2000:]}")
            await asyncio.sleep(0.1)
        yield


@asynccontextmanager
async def worker(bench: Bench, system: str) -> AsyncIterator[dict[str, str]]:
    """A peer's worker, ready; what its load must know beside."""
    more = {"BENCH_RESULTS": bench.environment["BENCH_CELERY_DATABASE"]} if system == "celery-postgresql" else {}
    argv = {
        "celery": ["celery", "-A", "tests.bench.peers.celery_app", "worker", "--pool=threads", "--concurrency=8",
                   "--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        "procrastinate": ["procrastinate", "--app", "tests.bench.peers.procrastinate_app.app", "worker",
                          "--concurrency=8"],
        "taskiq": ["taskiq", "worker", "--workers", "1", "--log-level", "WARNING",
                   "tests.bench.peers.taskiq_app:broker"],
    }[system.split("-", maxsplit=1)[0]]  # fmt: skip
    environment = {**bench.environment, **more, "PYTHONPATH": "."}
    async with child([sys.executable, "-m", *argv], environment, bench.directory / f"{system}.log"):
        await asyncio.sleep(5)
        yield more


async def compare(bench: Bench) -> None:
    """Interleaved rounds of us and all peers."""
    await (await asyncio.create_subprocess_exec(
        sys.executable, "-m", "procrastinate", "--app", "tests.bench.peers.procrastinate_app.app", "schema", "--apply",
        env={**bench.environment, "PYTHONPATH": "."}, stdout=asyncio.subprocess.DEVNULL,
    )).wait()  # fmt: skip
    for number in range(bench.size.rounds):
        print(f"round {number + 1} of {bench.size.rounds}", flush=True)
        async with simulated_builders(bench):
            for submitters in (8, 64):
                await bench.measure("ours", submitters)
        for system in ("celery", "celery-postgresql", "procrastinate", "taskiq"):
            async with worker(bench, system) as more:
                await bench.measure(system, 8, **more)
                if number == 0:
                    await bench.measure(system, 64, **more)


async def fill(bench: Bench) -> None:
    """Finished and queued tasks as the hub itself would have left them."""
    connection = await asyncpg.connect(bench.stack.endpoints.hub_database_url)
    finished, queued = bench.size.finished, bench.size.queued
    host = await connection.fetchval("SELECT min(id) FROM host")
    classes = [
        await connection.fetchval(
            "INSERT INTO requirement (architecture, required_tags, cpu, memory_bytes, disk_bytes)"
            " VALUES ('', $1, 1, 0, 0) RETURNING id",
            [tag],
        )
        for tag in ("bench-done", "bench-nowhere")
    ]
    await connection.execute(
        f"WITH made AS (INSERT INTO task (kind, state, requirement_id, attempt, host_id, ended_at, label)"
        f" SELECT 'noop', 'completed', {classes[0]}, 1, {host}, now(), 'no-op' FROM generate_series(1, {finished})"
        " RETURNING id), tried AS (INSERT INTO attempt (task_id, attempt, host_id, ended_at, outcome)"
        f" SELECT id, 1, {host}, now(), 'completed' FROM made)"
        " INSERT INTO event (type, task_id, body) SELECT type, id, '{}' FROM made,"
        " unnest(ARRAY['task.created', 'task.completed']) AS type",
        timeout=600,
    )
    await connection.execute(
        f"INSERT INTO task (kind, state, requirement_id, label)"
        f" SELECT 'noop', 'free', {classes[1]}, 'no-op' FROM generate_series(1, {queued})",
        timeout=600,
    )
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.close()


async def with_full_tables(bench: Bench) -> tuple[float, float]:
    """Tasks a second with empty and with full tables, one right after the other."""
    rates: list[float] = []
    for full in (False, True):
        if full:
            print("filling the tables", flush=True)
            await fill(bench)
        async with simulated_builders(bench):
            results = [
                bench.size.tasks / (await bench.load("ours", bench.size.tasks, 8))["seconds"]
                for _ in range(max(2, bench.size.rounds))
            ]
        rates.append(statistics.median(results))
        print(f"  {'full' if full else 'empty'} tables  {rates[-1]:.0f} tasks/s", flush=True)
    return rates[0], rates[1]


async def idle_percent(bench: Bench) -> float:
    """Share of one core that hub, auth and builder use when nothing happens."""
    pids = [service.process.pid for service in bench.stack.services.values()]
    await asyncio.sleep(3)
    before, began = cpu_s(pids), time.monotonic()
    await asyncio.sleep(bench.size.idle_s)
    return 100 * (cpu_s(pids) - before) / (time.monotonic() - began)


def cpu_s(pids: list[int]) -> float:
    """Seconds of processor time of these processes and their ended children."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(value) for value in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


async def run(size: Size) -> list[Figure]:
    async with prepared(size) as bench:
        print("idle", flush=True)
        idle = await idle_percent(bench)
        async with simulated_builders(bench):
            await bench.load("ours", 50, 8)
            steady = await bench.load("ours", 250 if size.rounds > 1 else 100, 1, 50)
            slow = await bench.load("ours", 60 if size.rounds > 1 else 20, 1, 5)
        await compare(bench)
        empty, full = await with_full_tables(bench)
    ours = bench.median("ours", 8)
    return [
        Figure("ours, 8 submitters", ours, "tasks/s"),
        Figure("ours, 64 submitters", bench.median("ours", 64), "tasks/s"),
        *(Figure(f"{system}, {n} submitters", bench.median(system, n), "tasks/s")
          for system, n in bench.rates if system != "ours"),
        Figure.at_least("ours / Celery with rpc results", ours / bench.median("celery", 8), "x", 3),
        Figure.at_least("ours / Procrastinate", ours / bench.median("procrastinate", 8), "x", 6),
        Figure.at_least("ours / taskiq", ours / bench.median("taskiq", 8), "x", 1.2),
        Figure.at_most("idle submit to start, p50", slow["p50_ms"], "ms", 20),
        Figure.at_most("idle submit to start, p99", slow["p99_ms"], "ms", 60),
        Figure("submit to start at 50/s, p50", steady["p50_ms"], "ms"),
        Figure("submit to start at 50/s, p99", steady["p99_ms"], "ms"),
        Figure("empty tables, 8 submitters", empty, "tasks/s"),
        Figure(f"{size.finished:,} finished and {size.queued:,} queued tasks", full, "tasks/s"),
        Figure.at_least("full tables / empty tables", full / empty, "x", 0.85),
        Figure.at_most("idle CPU of hub, auth and builder", idle, "% of a core", 2),
    ]  # fmt: skip


def main(quick: bool) -> bool:
    """Measure and publish; True if every bar holds."""
    figures = asyncio.run(run(QUICK if quick else FULL))
    return publish(figures, REPORT, "Life cycle of a no-op task")


if __name__ == "__main__":
    sys.exit(0 if main("--quick" in sys.argv) else 1)
