"""deb-bootc-compose: the minimal sample from a warm package cache to commit and image, beside what no compose can be
faster than (mmdebstrap of the same packages alone) and beside mkosi, unchanged, and with one package changed.

Everything through the command line, in a state directory of its own whose packages and tools are there already; rounds
interleaved. Needs root. Run alone: `python -m tests.bench.compose [--quick]`.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.bench.build import is_root
from tests.bench.changed_package import archive_with_changed_package
from tests.bench.figures import Figure, publish
from tests.bench.peers.mkosi import Mkosi
from tests.bench.resources import Watched

REPORT = Path("build/bench/compose.json")
SAMPLE = Path("samples/minimal.yaml")
CHANGED = "iproute2"
"""A leaf: nothing of the tree depends on it, and the initramfs has nothing of it."""
FIRST_BAR, CACHED_BAR, UNCHANGED_BAR_S, PUSHED_BAR_MB, SHARED_BAR = 2.2, 1.5, 2.0, 6.0, 0.95
_FIRST, _CACHED, _FLOOR, _MKOSI = "first", "initramfs and layers cached", "mmdebstrap alone", "mkosi"


@dataclass(frozen=True, slots=True)
class Image:
    """What a registry would be given."""

    manifest: str
    layers: dict[str, int]


class Composer:
    """The command, in one state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def compose(self, treefile: Path, *options: str) -> Watched:
        command = [
            sys.executable, "-m", "deb_bootc_compose", "compose", str(treefile), "--state-dir", str(self.state),
            "--no-promote", "--allow", str(SAMPLE.parent), *options,
        ]  # fmt: skip
        return Watched.run(command, disk=self.state)

    def image(self, treefile: Path) -> tuple[Watched, Image]:
        """Commit and image, and what the image is."""
        watched = self.compose(treefile, "--output", "ociarchive")
        facts = json.loads(self._newest("output.ociarchive").read_bytes())["facts"]
        return watched, Image(facts["manifest_digest"], dict(facts["layers"]))

    def forget(self, *names: str) -> None:
        """Everything that was made, but packages, lists and tools; and what `names` says."""
        for name in ("phases", "repo", "composes", *names):
            shutil.rmtree(self.state / name, ignore_errors=True)

    @property
    def gathered(self) -> Path:
        """What the phase gather left: the lock file, and a repository of the packages."""
        return self._newest("gather").parent / "files"

    def _newest(self, phase: str) -> Path:
        records = list((self.state / "phases" / phase).glob("*/record.json"))
        return max(records, key=lambda record: record.stat().st_mtime_ns)


def floor_s(composer: Composer, work: Path) -> float:
    """mmdebstrap of the same packages from the same repository, as the phase ostree calls it."""
    gathered, root = composer.gathered, work / "floor"
    packages = json.loads((gathered / "lock.json").read_bytes())["packages"]
    names = [f"{one['name']}={one['version']}" for one in packages]
    repository = gathered / "repository"
    command = [
        "mmdebstrap", "--variant=apt", "--mode=root", "--quiet", "--dpkgopt=force-unsafe-io",
        "--skip=check/empty,check/signed-by,download/empty,essential/unlink,cleanup/apt/cache,output/dev",
        "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount", f"--include={','.join(names)}", "",
        str(root), f"deb [signed-by={repository}/key.asc] file://{repository} ./",
    ]  # fmt: skip
    began_s = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, "INITRD": "No", "SOURCE_DATE_EPOCH": "1700000000"})
    taken_s = time.monotonic() - began_s
    shutil.rmtree(root)
    return taken_s


def run(work: Path, rounds: int) -> list[Figure]:
    """All figures; `work` is an empty directory on the disk that composes would be made on."""
    composer = Composer(work / "state")
    print("warming packages and tools", flush=True)
    composer.compose(SAMPLE, "--just-phase", "gather")
    mkosi = Mkosi(work / "mkosi", composer.gathered)
    times: dict[str, list[float]] = defaultdict(list)
    peaks: list[Watched] = []
    images: set[str] = set()
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        times[_FLOOR].append(floor_s(composer, work))
        composer.forget("cache/layers", "cache/initramfs")
        first, image = composer.image(SAMPLE)
        composer.forget()
        cached, again = composer.image(SAMPLE)
        times[_FIRST].append(first.wall_s)
        times[_CACHED].append(cached.wall_s)
        peaks += [first, cached]
        images |= {image.manifest, again.manifest}
        if mkosi.why_not is None:
            times[_MKOSI].append(mkosi.build_s())
    unchanged = [composer.image(SAMPLE)[0].wall_s for _ in range(max(rounds, 2))]
    before = composer.image(SAMPLE)[1]
    treefile = archive_with_changed_package(work / "changed", SAMPLE, composer.gathered, CHANGED)
    changed_s, after = composer.image(treefile)
    return figures(times, unchanged, mkosi.why_not, peaks) + image_figures(before, after, changed_s.wall_s, images)


def figures(
    times: dict[str, list[float]], unchanged: list[float], why_no_mkosi: str | None, peaks: list[Watched]
) -> list[Figure]:
    """Medians, and how they compare with the floor."""
    median = {name: statistics.median(values) for name, values in times.items()}
    found = [Figure(f"commit and image, {name}", value, "s") for name, value in median.items()]
    found += [
        Figure.at_most(f"{_FIRST} / {_FLOOR}", median[_FIRST] / median[_FLOOR], "x", FIRST_BAR),
        Figure.at_most(f"{_CACHED} / {_FLOOR}", median[_CACHED] / median[_FLOOR], "x", CACHED_BAR),
        Figure.at_most("nothing changed", statistics.median(unchanged), "s", UNCHANGED_BAR_S),
    ]
    if why_no_mkosi is None:
        found.append(
            Figure(f"{_FIRST} / {_MKOSI} (a directory, no commit, no image)", median[_FIRST] / median[_MKOSI], "x")
        )
    else:
        found.append(Figure(f"{_FIRST} / {_MKOSI}: {why_no_mkosi}", None, "x"))
    return [
        *found,
        Figure("peak memory of all processes", max(one.peak_memory_bytes for one in peaks) / 1e6, "MB"),
        Figure("peak disk of the state directory", max(one.peak_disk_bytes for one in peaks) / 1e6, "MB"),
    ]


def image_figures(before: Image, after: Image, changed_s: float, images: set[str]) -> list[Figure]:
    """What a registry and a client share when one package changed."""
    pushed = {digest: size for digest, size in after.layers.items() if digest not in before.layers}
    total, sent = sum(after.layers.values()), sum(pushed.values())
    return [
        Figure(f"{CHANGED} changed", changed_s, "s"),
        Figure("layers of the image", float(len(after.layers)), ""),
        Figure("layers that are pushed for it", float(len(pushed)), ""),
        Figure("bytes of the image", total / 1e6, "MB"),
        Figure.at_most("bytes that are pushed for it", sent / 1e6, "MB", PUSHED_BAR_MB),
        Figure.at_least("bytes that are shared", 1 - sent / total, "", SHARED_BAR),
        Figure.at_most("different images of the same lock file", float(len(images)), "", 1.0),
    ]


def main(quick: bool) -> bool:
    """Measure and publish; True if every bar holds."""
    if not is_root():
        return False
    cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
    with tempfile.TemporaryDirectory(prefix="bench-compose-", dir=cache) as name:
        measured = run(Path(name), 1 if quick else 3)
    return publish(measured, REPORT, "The minimal sample by deb-bootc-compose")


if __name__ == "__main__":
    sys.exit(0 if main("--quick" in sys.argv) else 1)
