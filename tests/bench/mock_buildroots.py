"""Buildroots by themselves: how soon one is ready, what it holds, and whether many in a row leave anything."""

import asyncio
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.buildroots.scratch import used_bytes
from deb_mock.dependencies.resolver import DependencyResolver
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.tree_sizes import tree_size_bytes
from deb_mock.model import Base, BuildRequest
from deb_mock.sources.package import SourcePackage
from deb_mock.stages.steps import Steps
from deborch_shared.sandbox.box import open_sandbox

READY_BAR_MS = 100.0
HIT_BAR_MS = 100.0
_GROWTH_BAR_MIB = 8.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Host:
    """What is measured on: an engine's configuration and the suite that it makes."""

    config: EngineConfig
    suite: str
    architecture: str

    async def base(self, engine: Engine) -> Base:
        return await engine.ensure_base(self.suite, self.architecture, on_log=lambda _: None)


async def cold_base_s(host: Host) -> float:
    """Seconds to make the base from an empty cache."""
    shutil.rmtree(host.config.cache_dir, ignore_errors=True)
    engine = Engine(host.config)
    await engine.recover()
    began_s = time.perf_counter()
    await host.base(engine)
    return time.perf_counter() - began_s


async def ready(host: Host, request: BuildRequest, times: int) -> list[Figure]:
    """From asking until /bin/true has run, without and with the cached layer of `request`, and what one holds."""
    engine = Engine(host.config)
    await engine.recover()
    buildroots = Buildroots(host.config)
    resolver = DependencyResolver(host.config, buildroots)
    package = await SourcePackage.read(request.dsc, directory=request.source_dir, keyring=None)
    steps = Steps(lambda _: None, None)
    await buildroots.probe(await host.base(engine), lambda _: None)
    plain, layered, gone = [], [], []
    size_bytes = memory_bytes = 0
    for _ in range(times):
        began_s = time.perf_counter()
        base = await host.base(engine)
        async with open_sandbox(buildroots.spec("bench", base)) as sandbox:
            await sandbox.run(["/bin/true"])
            plain.append(time.perf_counter() - began_s)
            leaving_s = time.perf_counter()
        gone.append(time.perf_counter() - leaving_s)
        began_s = time.perf_counter()
        base = await host.base(engine)
        async with resolver.provided(base, package, request, steps) as dependencies:
            spec = buildroots.spec("bench", base, layers=dependencies.layers)
            async with open_sandbox(spec) as sandbox:
                await sandbox.run(["/bin/true"])
                layered.append(time.perf_counter() - began_s)
                size_bytes, memory_bytes = used_bytes(sandbox, spec), _proportional_bytes(sandbox.keeper_pid)
        if dependencies.cache != "hit":
            raise RuntimeError("the dependency layer was not in the cache")
    plain_ms, layered_ms = 1000 * statistics.median(plain), 1000 * statistics.median(layered)
    return [
        Figure.at_most("clean buildroot ready, base cached", plain_ms, "ms", READY_BAR_MS),
        Figure.at_most("the same with its dependency layer cached: more", layered_ms - plain_ms, "ms", HIT_BAR_MS),
        Figure("clean buildroot removed", 1000 * statistics.median(gone), "ms"),
        Figure("a new buildroot holds, memory or disk", size_bytes / _MIB, "MiB"),
        Figure("memory of its keeper (PSS)", memory_bytes / _MIB, "MiB"),
    ]


async def in_a_row(host: Host, times: int) -> list[Figure]:
    """Growth of what could leak, from after a few buildroots to after `times` more."""
    engine = Engine(host.config)
    await engine.recover()
    buildroots = Buildroots(host.config)
    base = await host.base(engine)
    await buildroots.probe(base, lambda _: None)

    async def one() -> None:
        async with open_sandbox(buildroots.spec("bench", base)) as sandbox:
            await sandbox.run(["/bin/sh", "-c", "echo x > /x; sleep 100 & setsid sleep 100 &"])

    for _ in range(5):
        await one()
    before, began_s = _State.now(host.config), time.perf_counter()
    for _ in range(times):
        await one()
    each_ms = 1000 * (time.perf_counter() - began_s) / times
    after = _State.now(host.config)
    named = f"{times} buildroots in a row"
    return [
        Figure(f"{named}: each made, used and removed in", each_ms, "ms"),
        Figure.at_most(f"{named}: mounts more", after.mounts - before.mounts, "", 0),
        Figure.at_most(f"{named}: processes more", after.processes - before.processes, "", 0),
        Figure.at_most(f"{named}: open files more", after.descriptors - before.descriptors, "", 0),
        Figure.at_most(f"{named}: files in the state directory more", after.files - before.files, "", 0),
        Figure.at_most(f"{named}: cache larger by", (after.cache_bytes - before.cache_bytes) / _MIB, "MiB", 0.0),
        Figure.at_most(
            f"{named}: memory of the engine larger by",
            (after.memory_bytes - before.memory_bytes) / _MIB,
            "MiB",
            _GROWTH_BAR_MIB,
        ),
    ]


async def side_by_side(build: Callable[[str], Awaitable[object]], counts: tuple[int, ...], what: str) -> list[Figure]:
    """Wall seconds until that many builds at the same time are done, per build."""
    found = []
    for count in counts:
        began_s = time.perf_counter()
        await asyncio.gather(*(build(f"side-{count}-{number}") for number in range(count)))
        each_s = (time.perf_counter() - began_s) / count
        found.append(Figure(f"{what}: {count} side by side, wall for each", each_s, "s"))
        print(f"  {count} side by side: {each_s:.1f} s for each", flush=True)
    return found


@dataclass(frozen=True, slots=True)
class _State:
    """What could grow."""

    mounts: int
    processes: int
    descriptors: int
    files: int
    cache_bytes: int
    memory_bytes: int

    @classmethod
    def now(cls, config: EngineConfig) -> "_State":
        return cls(
            mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
            processes=sum(1 for _ in Path("/proc").glob("[0-9]*")),
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            files=sum(1 for _ in config.state_dir.rglob("*")),
            cache_bytes=tree_size_bytes(config.cache_dir),
            memory_bytes=_resident_bytes(),
        )


def _resident_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _proportional_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
