"""The log among the results, compressed."""

import asyncio
import gzip
import lzma
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from deb_mock.model import Artifact
from deb_mock.plugins.api import BuildContext, Plugin, PluginOptions, Results, hookimpl
from deborch_shared import process


class Format(StrEnum):
    """Of the compressed log."""

    ZSTD = "zstd"
    XZ = "xz"
    GZIP = "gzip"


_SUFFIXES = {Format.ZSTD: ".zst", Format.XZ: ".xz", Format.GZIP: ".gz"}


class CompressLogsOptions(PluginOptions):
    """Options of compress-logs."""

    format: Format = Field(Format.ZSTD, description="zstd, xz or gzip.")
    above_kib: int = Field(0, ge=0, description="Logs that are smaller stay as they are.")


class CompressLogs(Plugin):
    """What was shown while the build ran is not touched."""

    name: ClassVar[str] = "compress-logs"
    summary: ClassVar[str] = "The log among the results as .zst, .xz or .gz."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = CompressLogsOptions
    options: CompressLogsOptions

    @hookimpl
    async def process_log(self, build: BuildContext, results: Results, log: Artifact) -> None:
        """Replace it."""
        if log.size_bytes < self.options.above_kib << 10:
            return
        path = results.path(log)
        if self.options.format is Format.ZSTD:
            content = await _zstd(path, build.scratch_directory() / "log.zst")
        else:
            compress = lzma.compress if self.options.format is Format.XZ else gzip.compress
            content = await asyncio.to_thread(lambda: compress(path.read_bytes()))
        results.replace(log, f"{log.name}{_SUFFIXES[self.options.format]}", content)


async def _zstd(source: Path, target: Path) -> bytes:
    await process.run(["zstd", "-q", "-19", "-T0", "-o", str(target), str(source)])
    return await asyncio.to_thread(target.read_bytes)
