"""`python -m tests.bench [--quick] [--only lifecycle|archive|build|idle]`: every bench, or one of them.

Tables on the screen, build/bench/*.json for programs. The exit code is 1 if a bar is missed.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import lifecycle
from tests.bench.figures import Figure, publish

REPORTS = Path("build/bench")
PARTS = ("lifecycle", "archive", "build")


def run_part(part: str, *, quick: bool) -> bool:
    """One bench; True if its bars hold."""
    size = lifecycle.QUICK if quick else lifecycle.FULL
    figures: Sequence[Figure]
    if part == "lifecycle":
        figures = asyncio.run(lifecycle.lifecycle(size))
        return publish(figures, REPORTS / "lifecycle.json", "Life cycle of a no-op task")
    if part == "idle":
        return publish(asyncio.run(lifecycle.idle(size)), REPORTS / "idle.json", "The idle stack")
    command = [sys.executable, "-m", f"tests.bench.{part}", *(["--quick"] if quick else [])]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each once and small, under five minutes in total")
    parser.add_argument("--only", choices=(*PARTS, "idle"), help="one bench; idle is a part of lifecycle")
    options = parser.parse_args()
    outcomes = [run_part(part, quick=options.quick) for part in ([options.only] if options.only else PARTS)]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
