"""`python -m tests.bench [--quick] [--only NAME ...]`: every bench, or some of them, and a summary of the bars.

Tables on the screen, build/bench/*.json for programs. The exit code is 1 if a bar does not hold.
"""

import argparse
import asyncio
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import archive, build, compose, lifecycle, mock
from tests.bench.figures import publish, summarise

REPORTS = Path("build/bench")


def _lifecycle(quick: bool) -> bool:
    size = lifecycle.QUICK if quick else lifecycle.FULL
    measured = asyncio.run(lifecycle.lifecycle(size))
    return publish(measured, REPORTS / "lifecycle.json", "Life cycle of a no-op task")


def _idle(quick: bool) -> bool:
    size = lifecycle.QUICK if quick else lifecycle.FULL
    return publish(asyncio.run(lifecycle.idle(size)), REPORTS / "idle.json", "The idle stack")


BENCHES: dict[str, Callable[[bool], bool]] = {
    "lifecycle": _lifecycle,
    "archive": archive.main,
    "build": build.main,
    "idle": _idle,
    "mock": mock.main,
    "compose": compose.main,
}
ALL = ("lifecycle", "archive", "build")
"""Without --only; idle is a part of lifecycle, mock takes half an hour by itself, compose a quarter."""


@contextmanager
def alone() -> Iterator[None]:
    """One bench at a time: two would measure each other. The lock is the cache directory, root's and users' alike."""
    cache = Path(os.environ.get("DEBORCH_TEST_CACHE") or Path.home() / ".cache" / "deborch-tests")
    cache.mkdir(parents=True, exist_ok=True)
    lock = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting until another bench on this machine has ended", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def run_each(names: Sequence[str], *, quick: bool) -> bool:
    """One process a bench, so that one that breaks does not take the others along."""
    seconds = {}
    for name in names:
        (REPORTS / f"{name}.json").unlink(missing_ok=True)
        began_s = time.monotonic()
        command = [sys.executable, "-m", "tests.bench", "--only", name, *(["--quick"] if quick else [])]
        subprocess.run(command, check=False)
        seconds[name] = time.monotonic() - began_s
    return summarise(REPORTS, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each once and small, under five minutes in total")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=ALL, metavar="NAME", help=", ".join(BENCHES))
    options = parser.parse_args()
    if len(options.only) == 1:
        with alone():
            return 0 if BENCHES[options.only[0]](options.quick) else 1
    return 0 if run_each(options.only, quick=options.quick) else 1


if __name__ == "__main__":
    sys.exit(main())
