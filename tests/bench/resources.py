"""What a command and everything that it starts use while it runs."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Watched:
    """One run. Memory is what all processes have resident and do not share (USS)."""

    wall_s: float
    peak_memory_bytes: int
    peak_disk_bytes: int

    @classmethod
    def run(cls, command: Sequence[str], *, disk: Path) -> Self:
        """Run `command` to its end; its last words are shown if it fails.

        Raises:
            RuntimeError: it failed.
        """
        peaks = {"memory": 0, "disk": 0}
        began_s = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            watcher = threading.Thread(target=_watch, args=(child, disk, peaks), daemon=True)
            watcher.start()
            output, _ = child.communicate()
            wall_s = time.monotonic() - began_s
            watcher.join()
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(command[-6:])} failed: {output[-2000:].decode(errors='replace')}")
        return cls(wall_s, peaks["memory"], max(peaks["disk"], _used(disk)))


def _watch(child: subprocess.Popen[bytes], disk: Path, peaks: dict[str, int]) -> None:
    first = _used(disk)
    while child.poll() is None:
        peaks["memory"] = max(peaks["memory"], _memory(child.pid))
        peaks["disk"] = max(peaks["disk"], first)
        time.sleep(_EVERY_S)


def _memory(pid: int) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().uss
    return total


def _used(directory: Path) -> int:
    """Bytes on the disk of everything in `directory`; hard links once."""
    if not directory.exists():
        return 0
    found = subprocess.run(["du", "-s", "-B1", str(directory)], check=False, capture_output=True, text=True)
    return int(found.stdout.split()[0]) if found.stdout else 0
