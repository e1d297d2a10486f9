"""A clean buildroot, and a whole build of `hello`, beside tuned sbuild and bare dpkg-buildpackage.

Everything happens in mount and pid namespaces of its own, so that tmpfs, chroots, builds and sbuild's user are gone
with it however it ends. All builds have the same base and jobs and fetch nothing; rounds are interleaved. Needs root.
Run alone: `python -m tests.bench.build [--quick]`.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figure, publish
from tests.bench.peers.bare_chroot import BareChroot
from tests.bench.peers.sbuild import Sbuild

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.model import Base, BuildRequest, FetchRequest, Stage
from deborch_shared import process
from deborch_shared.apt.host import host_codename, proxies_of
from deborch_shared.errors import DeborchError
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.box import open_sandbox

REPORT = Path("build/bench/build.json")
BUILDROOTS = 20
ROUNDS = 3
READY_BAR_S = 0.15
BUILD_BAR = 0.75
PRIVATE = "--in-private-namespaces"
ENDED_WITH_US = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_SCRATCH_BYTES = 4 << 30


@dataclass
class Times:
    """Wall and CPU seconds of builds, by system."""

    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, system: str, result: ProcessResult) -> None:
        self.wall[system].append(result.wall_s)
        self.cpu[system].append(result.cpu_s)
        print(f"  {system:<18} {result.wall_s:6.1f} s wall  {result.cpu_s:6.1f} s CPU", flush=True)


class DebMock:
    """The engine, on the cached base of the host's suite."""

    def __init__(self, work: Path, cache: Path, suite: str, architecture: str, jobs: int) -> None:
        self._config = EngineConfig(
            state_dir=work / "state", cache_dir=cache / "deb-mock", proxies=proxies_of(os.environ), tmpfs_bytes=2 << 30
        )
        self._engine = Engine(self._config)
        self._work, self._suite, self._architecture, self._jobs = work, suite, architecture, jobs

    async def base(self) -> Base:
        await self._engine.recover()
        return await self._engine.ensure_base(self._suite, self._architecture, on_log=_ignore)

    async def source(self, name: str, directory: Path) -> Path:
        """The .dsc of `name`, fetched into `directory` if it is not there yet."""
        if not directory.is_dir():
            directory.parent.mkdir(parents=True, exist_ok=True)
            request = FetchRequest("bench-source", name, None, self._suite, self._architecture, directory)
            await self._engine.fetch_source(request, on_log=_ignore)
        return next(directory.glob("*.dsc"))

    async def ready_s(self, base: Base) -> tuple[float, float]:
        """Seconds until /bin/true has run in a new buildroot, and until that buildroot is gone again."""
        buildroots = Buildroots(self._config)
        await buildroots.probe(base, _ignore)
        ready, gone = [], []
        for _ in range(BUILDROOTS):
            began_s = time.perf_counter()
            async with open_sandbox(buildroots.spec("bench", base)) as sandbox:
                await sandbox.run(["/bin/true"])
                ready.append(time.perf_counter() - began_s)
                leaving_s = time.perf_counter()
            gone.append(time.perf_counter() - leaving_s)
        return statistics.median(ready), statistics.median(gone)

    async def install_dependencies(self, dsc: Path) -> None:
        """Have the dependency layer cached: a build that is cancelled as soon as it has it."""
        request = BuildRequest(
            "bench-warm", dsc, dsc.parent, self._suite, self._architecture, self._work / "warm", parallel=self._jobs
        )
        ready = asyncio.Event()

        def on_stage(stage: Stage, _: float) -> None:
            if stage is Stage.BUILDROOT:
                ready.set()

        building = asyncio.create_task(self._engine.build(request, on_log=_ignore, on_stage=on_stage))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((building, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if building.done():
            building.result()
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)

    async def build(self, dsc: Path) -> ProcessResult:
        """The command, from its start to its end, with the start of Python and the removal of the buildroot."""
        results = self._work / "results"
        command = [
            sys.executable, "-m", "deb_mock", "build", str(dsc), "--suite", self._suite, "--json",
            "--state-dir", str(self._config.state_dir), "--cache-dir", str(self._config.cache_dir),
            "--result-dir", str(results), "--jobs", str(self._jobs),
        ]  # fmt: skip
        result = await process.run(command, timeout_s=900)
        if json.loads(result.output.splitlines()[-1])["dependency_cache"] != "hit":
            raise RuntimeError("the dependency layer was not in the cache")
        shutil.rmtree(results)
        return result


def _ignore(_: bytes) -> None:
    """A log that nobody reads."""


async def run(work: Path, rounds: int) -> list[Figure]:
    """All figures; `work` is an empty directory on a tmpfs, open to every user."""
    cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
    suite, jobs = host_codename(), len(os.sched_getaffinity(0))
    architecture = (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
    ours = DebMock(work, cache, suite, architecture, jobs)
    print("preparing: base, source, chroots with the build dependencies", flush=True)
    base = await ours.base()
    cached = await ours.source("hello", cache / "sources" / f"hello-{suite}")
    dsc = Path(shutil.copytree(cached.parent, work / "source")) / cached.name
    await ours.install_dependencies(dsc)
    ready_s, gone_s = await ours.ready_s(base)
    chroot = work / "chroot.tar"
    pack = ["tar", "-C", str(base.root), "--numeric-owner", "--xattrs", "-cf", str(chroot), "."]
    await process.run(pack, timeout_s=300)
    bare, sbuild = BareChroot(work / "bare", chroot, jobs), Sbuild(work / "sbuild", chroot, suite, jobs)
    debs = await bare.prepare(dsc, proxies_of(os.environ))
    await sbuild.prepare(debs)
    times, why_not = await measure(
        {"deb-mock": ours.build, "tuned sbuild": sbuild.build, "bare": bare.build}, dsc, rounds
    )
    if len(debs) != len(sbuild.archives()):
        print(f"sbuild had to fetch {sorted(sbuild.archives() - {deb.name for deb in debs})} in its first build")
    return [
        Figure.at_most("clean buildroot ready", 1000 * ready_s, "ms", 1000 * READY_BAR_S),
        Figure("clean buildroot removed", 1000 * gone_s, "ms"),
        *figures(times, why_not),
    ]


async def measure(
    systems: dict[str, Callable[[Path], Awaitable[ProcessResult]]], dsc: Path, rounds: int
) -> tuple[Times, str]:
    """Interleaved rounds, each begun by another system; why sbuild does not run here, or nothing."""
    times, why_not = Times(), ""
    names = list(systems)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name == "tuned sbuild" and why_not:
                continue
            try:
                times.add(name, await systems[name](dsc))
            except DeborchError as error:
                if name != "tuned sbuild":
                    raise
                why_not = f"{error.message}: {str(error.fields.get('output', ''))[-600:]}"
                print(f"  {name} does not run here: {why_not}", flush=True)
    return times, why_not


def figures(times: Times, why_not: str) -> list[Figure]:
    """Medians, and how they compare."""
    found = [
        Figure(f"hello by {name}, {kind}", statistics.median(values), "s")
        for kind, by_name in (("wall", times.wall), ("CPU", times.cpu))
        for name, values in by_name.items()
    ]
    wall = {name: statistics.median(values) for name, values in times.wall.items()}
    found.append(Figure("hello: deb-mock / bare, wall", wall["deb-mock"] / wall["bare"], "x"))
    ratio = "hello: deb-mock / tuned sbuild, wall"
    if why_not:
        found.append(Figure(f"{ratio}: sbuild does not run here", None, "x", f"at most {BUILD_BAR:g} x", holds=False))
    else:
        found.append(Figure.at_most(ratio, wall["deb-mock"] / wall["tuned sbuild"], "x", BUILD_BAR))
    return found


def is_root() -> bool:
    """Whether it can begin; says why not."""
    if os.geteuid() != 0:
        print("builds need root: buildroots and chroots are mounts and namespaces; run bin/bench as root")
        return False
    return True


def main(quick: bool) -> bool:
    """Measure and publish; True if every bar holds."""
    if not is_root():
        return False
    command = [sys.executable, "-m", "tests.bench.build", PRIVATE, *(["--quick"] if quick else [])]
    return subprocess.run([*ENDED_WITH_US, *command], check=False).returncode == 0


def _main_in_private_namespaces(quick: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="deborch-bench-") as name:
        work = Path(name)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SCRATCH_BYTES},mode=755", "tmpfs", name], check=True)
        try:
            measured = asyncio.run(run(work, 1 if quick else ROUNDS))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
    return publish(measured, REPORT, "Builds of hello")


if __name__ == "__main__":
    begin = _main_in_private_namespaces if PRIVATE in sys.argv else main
    sys.exit(0 if begin("--quick" in sys.argv) else 1)
