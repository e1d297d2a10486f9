"""What machine a package was built on."""

import asyncio
import os
import platform
import shutil
from pathlib import Path
from typing import ClassVar

from deb_mock.plugins.api import BuildContext, Plugin, Results, hookimpl
from deb_mock.plugins.naming import stem

_WANTED_OF_CPU = ("model name", "vendor_id", "cpu MHz", "cache size", "flags", "Features", "CPU part")
_WANTED_OF_MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")


class HwInfo(Plugin):
    """Mock's plug-in hw_info: for the builds that fail on one kind of machine only."""

    name: ClassVar[str] = "hw-info"
    summary: ClassVar[str] = "Processor, memory, kernel and disk of the builder in the log and among the results."
    api_version: ClassVar[str] = "1.0"

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._text = ""

    @hookimpl
    async def before_base(self, build: BuildContext) -> None:
        """Look, before the build takes its part."""
        self._text = await asyncio.to_thread(describe, Path("/proc"), build.config.state_dir)
        for line in self._text.splitlines():
            build.say(line[:300])

    @hookimpl
    def results_collected(self, build: BuildContext, results: Results) -> None:
        """Keep it."""
        results.add(f"{stem(build)}.hw-info.txt", self._text.encode())


def describe(proc: Path, directory: Path) -> str:
    """The machine in lines of `name: value`."""
    kernel = platform.uname()
    usage = shutil.disk_usage(directory)
    cpu = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in (proc / "cpuinfo").read_text().splitlines())
        if name.strip() in _WANTED_OF_CPU
    }
    memory = [line for line in (proc / "meminfo").read_text().splitlines() if line.startswith(_WANTED_OF_MEMORY)]
    lines = [
        f"kernel: {kernel.system} {kernel.release} {kernel.machine}",
        f"processors: {os.cpu_count()}, usable {len(os.sched_getaffinity(0))}",
        *(f"{name}: {value}" for name, value in cpu.items()),
        *(" ".join(line.split()) for line in memory),
        f"disk of the buildroots: {usage.free >> 20} MiB free of {usage.total >> 20}",
        f"load: {' '.join(f'{load:.2f}' for load in os.getloadavg())}",
    ]
    return "\n".join(lines) + "\n"
