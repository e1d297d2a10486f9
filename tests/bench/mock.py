"""deb-mock: buildroots, whole builds with and without their dependency layer, beside tuned sbuild and bare
dpkg-buildpackage, and builds side by side.

As tests/bench/build.py, whose peers and namespaces it uses: same base and jobs for all, nothing fetched while the clock
runs, rounds interleaved. Needs root. Run alone: `python -m tests.bench.mock [--quick]`.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.build import ENDED_WITH_US, PRIVATE, DebMock, Times, is_root, measure
from tests.bench.figures import Figure, publish
from tests.bench.mock_buildroots import Host, cold_base_s, in_a_row, ready, side_by_side
from tests.bench.peers.bare_chroot import BareChroot
from tests.bench.peers.sbuild import Sbuild
from tests.bench.python_source import NAME, make_python_source

from deb_mock.model import BuildRequest, CacheKind
from deborch_shared import process
from deborch_shared.apt.host import host_codename, proxies_of
from deborch_shared.process import ProcessResult

REPORT = Path("build/bench/mock.json")
MISS_BAR = 0.75
_HIT, _MISS, _SBUILD, _BARE = "deb-mock, layer cached", "deb-mock, layer missing", "tuned sbuild", "bare"
_SCRATCH_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class Subject:
    """A package to build. `overhead_bar`: at most so many times as long as bare, with its layer cached."""

    source: str
    kind: str
    overhead_bar: float | None
    rounds: int


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    subjects: tuple[Subject, ...]
    readies: int
    in_a_row: int
    side_by_side: tuple[int, ...]


_HELLO = Subject("hello", "small", 1.10, 3)
_PYTHON = Subject(NAME, "arch-all Python", None, 3)
FULL = Size((_HELLO, Subject("libzstd", "mid-size C", 1.03, 2), _PYTHON), 20, 200, (1, 2, 4))
QUICK = Size((Subject("hello", "small", 1.10, 1),), 10, 50, (1, 2))


class MockBuilds(DebMock):
    """The command `deb-mock build`, with and without the layer in the cache."""

    @property
    def config(self):
        return self._config

    def request(self, dsc: Path) -> BuildRequest:
        return BuildRequest(
            "bench", dsc, dsc.parent, self._suite, self._architecture, self._work / "none", parallel=self._jobs
        )

    async def hit(self, dsc: Path) -> ProcessResult:
        """With the layer there; making it first does not count."""
        await self.install_dependencies(dsc)
        return await self.run_build(dsc, "results", "hit")

    async def miss(self, dsc: Path) -> ProcessResult:
        """With no layer at all, but what was downloaded before."""
        await self._engine.recover()
        await self._engine.scrub(CacheKind.LAYER)
        return await self.run_build(dsc, "results", "miss")

    async def run_build(self, dsc: Path, name: str, expected: str) -> ProcessResult:
        """One command, from its start to its end."""
        results = self._work / name
        command = [
            sys.executable, "-m", "deb_mock", "build", str(dsc), "--suite", self._suite, "--json",
            "--state-dir", str(self._config.state_dir), "--cache-dir", str(self._config.cache_dir),
            "--result-dir", str(results), "--jobs", str(self._jobs),
        ]  # fmt: skip
        result = await process.run(command, timeout_s=1800)
        found = json.loads(result.output.splitlines()[-1])["dependency_cache"]
        if found != expected:
            raise RuntimeError(f"the dependency layer was a {found}, not a {expected}")
        await asyncio.to_thread(shutil.rmtree, results)
        return result


async def run(work: Path, size: Size) -> list[Figure]:
    """All figures; `work` is an empty directory on a tmpfs, open to every user."""
    cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
    suite, jobs = host_codename(), len(os.sched_getaffinity(0))
    architecture = (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
    ours = MockBuilds(work, cache / "bench-mock", suite, architecture, jobs)
    host = Host(ours.config, suite, architecture)
    print("making a base from nothing", flush=True)
    found = [Figure("base made from nothing", await cold_base_s(host), "s")]
    base = await ours.base()
    chroot = work / "chroot.tar"
    pack = ["tar", "-C", str(base.root), "--numeric-owner", "--xattrs", "-cf", str(chroot), "."]
    await process.run(pack, timeout_s=300)
    sbuild = Sbuild(work / "sbuild", chroot, suite, jobs)
    await sbuild.prepare(())
    first = None
    for subject in size.subjects:
        dsc = await source_of(subject, ours, cache / "sources" / f"{subject.source}-{suite}", work)
        first = first or dsc
        found += await builds(subject, dsc, ours, BareChroot(work / "bare", chroot, jobs), sbuild)
        await asyncio.to_thread(shutil.rmtree, work / "bare")
    if first is None:
        raise ValueError("nothing to build")
    await ours.install_dependencies(first)
    print("buildroots", flush=True)
    found += await ready(host, ours.request(first), size.readies)
    found += await in_a_row(host, size.in_a_row)
    found += await side_by_side(
        lambda name: ours.run_build(first, name, "hit"), size.side_by_side, size.subjects[0].source
    )
    return found


async def source_of(subject: Subject, ours: MockBuilds, cached: Path, work: Path) -> Path:
    """Its .dsc in a directory that every user may read: made here, or fetched once."""
    directory = work / f"source-{subject.source}"
    if subject.source == NAME:
        directory.mkdir()
        return make_python_source(directory)
    dsc = await ours.source(subject.source, cached)
    return Path(shutil.copytree(dsc.parent, directory)) / dsc.name


async def builds(subject: Subject, dsc: Path, ours: MockBuilds, bare: BareChroot, sbuild: Sbuild) -> list[Figure]:
    """One package by every system."""
    print(f"{subject.source}: preparing", flush=True)
    await ours.install_dependencies(dsc)
    await sbuild.offer(await bare.prepare(dsc, proxies_of(os.environ)))
    systems = {_MISS: ours.miss, _HIT: ours.hit, _BARE: bare.build, _SBUILD: sbuild.build}
    times, why_not = await measure(systems, dsc, subject.rounds)
    return figures(subject, times, why_not)


def figures(subject: Subject, times: Times, why_not: str) -> list[Figure]:
    """Medians, and how they compare."""
    named = f"{subject.source} ({subject.kind})"
    found = [
        Figure(f"{named} by {name}, {kind}", statistics.median(values), "s")
        for kind, by_name in (("wall", times.wall), ("CPU", times.cpu))
        for name, values in by_name.items()
    ]
    wall = {name: statistics.median(values) for name, values in times.wall.items()}
    overhead, label = wall[_HIT] / wall[_BARE], f"{named}: layer cached / bare, wall"
    if subject.overhead_bar is None:
        found.append(Figure(label, overhead, "x"))
    else:
        found.append(Figure.at_most(label, overhead, "x", subject.overhead_bar))
    label = f"{named}: layer missing / tuned sbuild, wall"
    if why_not:
        found.append(Figure(f"{label}: sbuild does not run here", None, "x", f"at most {MISS_BAR:g} x", holds=False))
    else:
        found.append(Figure.at_most(label, wall[_MISS] / wall[_SBUILD], "x", MISS_BAR))
        found.append(Figure(f"{named}: layer cached / tuned sbuild, wall", wall[_HIT] / wall[_SBUILD], "x"))
    return found


def main(quick: bool) -> bool:
    """Measure and publish; True if every bar holds."""
    if not is_root():
        return False
    command = [*ENDED_WITH_US, sys.executable, "-m", "tests.bench.mock", PRIVATE, *(["--quick"] if quick else [])]
    return subprocess.run(command, check=False).returncode == 0


def _main_in_private_namespaces(quick: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="deborch-bench-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SCRATCH_BYTES},mode=755", "tmpfs", name], check=True)
        try:
            measured = asyncio.run(run(Path(name), QUICK if quick else FULL))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
    return publish(measured, REPORT, "Buildroots and builds by deb-mock")


if __name__ == "__main__":
    begin = _main_in_private_namespaces if PRIVATE in sys.argv else main
    sys.exit(0 if begin("--quick" in sys.argv) else 1)
