"""The durable life cycle of a no-op task beside Celery, Procrastinate and taskiq, and what the stack costs when idle.

Submitted over HTTP, stored, assigned over AMQP, started, completed, stored. Rounds are interleaved, medians compared.
"""

import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.bench.figures import Figure
from tests.bench.full_tables import fill
from tests.bench.idle import idle_cpu
from tests.bench.rig import (
    CELERY_POSTGRESQL,
    CELERY_RPC,
    OURS,
    PEERS,
    PROCRASTINATE,
    TASKIQ,
    Rig,
    System,
    open_rig,
    simulated_builders,
    workers,
)

SUBMITTERS = (8, 64)
STEADY_RATE = 50.0
IDLE_RATE = 5.0
"""A second: each task finds everything at rest."""
_BARS = ((CELERY_RPC, 3.0), (PROCRASTINATE, 6.0), (TASKIQ, 1.2))
_TASKS = {OURS: 4000, TASKIQ: 4000, CELERY_RPC: 1000, PROCRASTINATE: 1000, CELERY_POSTGRESQL: 500}
"""So many that a run takes some seconds."""
_WARM_UP_TASKS = 400


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    rounds: int
    share: float
    """Of the tasks of a full run."""
    full_table_rounds: int
    finished: int
    queued: int
    steady: int
    at_rest: int
    idle_s: float


FULL = Size(5, 1.0, 5, 1_000_000, 20_000, 500, 100, 20.0)
QUICK = Size(1, 0.4, 2, 100_000, 2_000, 100, 30, 8.0)


@dataclass
class Rates:
    """Tasks a second by system and submitters, one value a round."""

    values: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def add(self, system: str, submitters: int, rate: float) -> None:
        self.values.setdefault((system, submitters), []).append(rate)
        print(f"  {system:<28} {submitters:>3} submitters {rate:8.0f} tasks/s", flush=True)

    def median(self, system: str, submitters: int) -> float:
        return statistics.median(self.values[system, submitters])

    def figures(self) -> list[Figure]:
        return [
            Figure(f"{system}, {submitters} submitters", self.median(system, submitters), "tasks/s")
            for system, submitters in self.values
        ]


async def idle(size: Size) -> list[Figure]:
    """The idle stack alone."""
    async with open_rig() as rig:
        return [await idle_cpu(rig, size.idle_s)]


async def lifecycle(size: Size) -> list[Figure]:
    """Every figure of lifecycle.json."""
    async with open_rig() as rig:
        print("idle stack", flush=True)
        at_rest = await idle_cpu(rig, size.idle_s)
        async with simulated_builders(rig):
            await rig.load(OURS, _WARM_UP_TASKS, 8)
            waits = await submit_to_start(rig, size)
            async with workers(rig, PEERS):
                rates = await compare(rig, size)
            full = await with_full_tables(rig, size)
    return [*rates.figures(), *_ratios(rates), *waits, *full, at_rest]


async def submit_to_start(rig: Rig, size: Size) -> list[Figure]:
    """From before the request is sent to the moment the builder has the task in hand."""
    print("submit to start", flush=True)
    slow = await rig.load(OURS, size.at_rest, 1, rate=IDLE_RATE)
    steady = await rig.load(OURS, size.steady, 1, rate=STEADY_RATE)
    return [
        Figure.at_most("submit to start, idle, p50", slow["p50_ms"], "ms", 20),
        Figure.at_most("submit to start, idle, p99", slow["p99_ms"], "ms", 60),
        Figure("submit to start, 50/s, p50", steady["p50_ms"], "ms"),
        Figure("submit to start, 50/s, p99", steady["p99_ms"], "ms"),
    ]


async def compare(rig: Rig, size: Size) -> Rates:
    """Interleaved rounds of us and all peers."""
    rates = Rates()
    for system in PEERS:
        await rig.load(system, 64, 8)
    for number in range(size.rounds):
        print(f"round {number + 1} of {size.rounds}", flush=True)
        for submitters in SUBMITTERS:
            for system in (OURS, *PEERS):
                rates.add(system.name, submitters, await rig.rate(system, _count(system, size), submitters))
    return rates


def _count(system: System, size: Size) -> int:
    return int(_TASKS[system] * size.share)


def _ratios(rates: Rates) -> Sequence[Figure]:
    ours = rates.median(OURS.name, 8)
    return [
        Figure.at_least(f"ours / {peer.name}, 8 submitters", ours / rates.median(peer.name, 8), "x", bar)
        for peer, bar in _BARS
    ]


async def with_full_tables(empty: Rig, size: Size) -> list[Figure]:
    """The same life cycle in a second stack whose tables are full, taking turns with the first."""
    print(f"filling the tables of a second stack: {size.finished:,} finished, {size.queued:,} queued", flush=True)
    rates = Rates()
    async with _full_rig(size) as full:
        for _ in range(size.full_table_rounds):
            for name, rig in (("empty tables", empty), ("full tables", full)):
                rates.add(name, 8, await rig.rate(OURS, _count(OURS, size), 8))
    ratio = rates.median("full tables", 8) / rates.median("empty tables", 8)
    title = f"{size.finished:,} finished and {size.queued:,} queued tasks / empty tables, 8 submitters"
    return [*rates.figures(), Figure.at_least(title, ratio, "x", 0.85)]


@asynccontextmanager
async def _full_rig(size: Size) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(open_rig())
        await stack.enter_async_context(simulated_builders(rig))
        await fill(rig.environment["BENCH_HUB_DSN"], size.finished, size.queued)
        await rig.load(OURS, _WARM_UP_TASKS, 8)
        yield rig
