"""Files of a build in memory, of a size of one's own, if the machine has it free."""

import asyncio
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from deb_mock.plugins.api import BuildContext, Contribution, Plugin, PluginOptions, hookimpl

_MIB = 1 << 20


class TmpfsOptions(PluginOptions):
    """Options of tmpfs."""

    size_mib: int = Field(4096, gt=0, description="Memory that the files of one build may take.")
    required_free_mib: int = Field(
        0, ge=0, description="With less free memory than this the files go to the disk; 0 asks for the size itself."
    )


class Tmpfs(Plugin):
    """Mock's plug-in of the same name."""

    name: ClassVar[str] = "tmpfs"
    summary: ClassVar[str] = "Files of the build in memory if enough is free, on the disk otherwise."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = TmpfsOptions
    options: TmpfsOptions

    @hookimpl
    async def contribute(self, build: BuildContext) -> Contribution:
        """Decide by what is free now."""
        needed_mib = self.options.required_free_mib or self.options.size_mib
        free_mib = await asyncio.to_thread(available_mib, Path("/proc/meminfo"))
        if free_mib < needed_mib:
            build.say(f"{free_mib} MiB of memory are free and {needed_mib} are asked for: files go to the disk")
            return Contribution(scratch_bytes=0)
        return Contribution(scratch_bytes=self.options.size_mib * _MIB)


def available_mib(meminfo: Path) -> int:
    """What proc(5) says is available to new programs."""
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0
