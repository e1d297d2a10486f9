"""blhc(1): were the hardening flags of dpkg-buildflags used by every compiler call in the log?"""

import asyncio
from typing import ClassVar

from pydantic import Field

from deb_mock.model import CheckStatus
from deb_mock.plugins.api import BuildContext, Check, CheckOptions, CheckReport, CheckRooms, PluginOptions, hookimpl

_NOTHING_COMPILED, _MEANS_FAILURE = 1, 8 | 16 | 32 | 64
"""Bits of blhc's exit code; 4 is an unsupported log, 8 missing flags, 16 hidden ones, 32 and 64 wrong ones."""


class BlhcOptions(CheckOptions):
    """Options of blhc."""

    all_flags: bool = Field(False, description="Ask for pie and bindnow as well (--all).")
    ignore_lines: tuple[str, ...] = Field((), description="Regular expressions of lines to ignore (--ignore-line).")


class Blhc(Check):
    """Reads the log of the build as far as it is written."""

    name: ClassVar[str] = "blhc"
    summary: ClassVar[str] = "Compiler calls in the log without hardening flags."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = BlhcOptions
    options: BlhcOptions

    @hookimpl
    async def check(self, build: BuildContext, rooms: CheckRooms) -> CheckReport:
        """Run it over the log."""
        log = await asyncio.to_thread(build.log.read_bytes)
        options = ["--all"] if self.options.all_flags else []
        for pattern in self.options.ignore_lines:
            options += ["--ignore-line", pattern]
        async with rooms.open(("blhc", *self.options.packages)) as room:
            room.put("checked-log", log)
            command = ["blhc", "--debian", *options, f"{room.workspace}/checked-log"]
            done = await room.run(command, quiet=True, check=False)
        lines = tuple(line for line in done.output.decode("utf-8", "replace").splitlines() if line.strip())
        if done.returncode & _MEANS_FAILURE:
            return CheckReport(CheckStatus.FAIL, f"{len(lines)} calls lack hardening flags", lines, done.output)
        if done.returncode & ~_NOTHING_COMPILED:
            return CheckReport(
                CheckStatus.WARN, f"blhc could not read the log (exit code {done.returncode})", lines, done.output
            )
        nothing = "no compiler was called" if done.returncode else "every compiler call is hardened"
        return CheckReport(CheckStatus.PASS, nothing, (), done.output)
