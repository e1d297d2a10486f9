"""Whether a build's files go to memory or to disk: by what earlier builds of the source needed, and what is free."""

import json
import os
import re
import secrets
from pathlib import Path

from deb_mock.engine_config import EngineConfig, Scratch
from deb_mock.host.tree_sizes import tree_size_bytes
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.spec import SandboxSpec

_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}\Z")
_REMEMBERED = 5
_MARGIN = 1.5
_SHARE_OF_FREE_MEMORY = 0.6
_UNKNOWN_NEEDS_BYTES = 2 << 30
"""Memory that must be free for a source that was never built here."""


class ScratchChoice:
    """Chooses, and remembers how much was used."""

    def __init__(self, config: EngineConfig, meminfo: Path = Path("/proc/meminfo")) -> None:
        self._config = config
        self._directory = config.cache_dir / "sizes"
        self._meminfo = meminfo

    def bytes_for(self, source: str | None) -> int | None:
        """The size of the tmpfs for a build of `source`; None: use the disk."""
        limit_bytes = self._config.tmpfs_bytes
        if limit_bytes is None or self._config.scratch is Scratch.DISK:
            return None
        if self._config.scratch is Scratch.TMPFS or source is None:
            return limit_bytes
        expected_bytes = self.expected_bytes(source)
        wanted_bytes = _UNKNOWN_NEEDS_BYTES if expected_bytes is None else expected_bytes * _MARGIN
        too_large = expected_bytes is not None and wanted_bytes > limit_bytes
        free_bytes = available_memory_bytes(self._meminfo)
        return None if too_large or wanted_bytes > free_bytes * _SHARE_OF_FREE_MEMORY else limit_bytes

    def expected_bytes(self, source: str) -> int | None:
        """The most that one of the last builds of `source` used; None if there was none."""
        sizes = self._sizes(source)
        return max(sizes) if sizes else None

    def remember(self, source: str, used_bytes: int) -> None:
        """Keep it for the next build."""
        if _SOURCE_NAME.match(source) is None:
            return
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = self._directory / f".{source}.{secrets.token_hex(4)}"
        temporary.write_text(json.dumps([*self._sizes(source), used_bytes][-_REMEMBERED:]))
        temporary.rename(self._directory / source)

    def _sizes(self, source: str) -> list[int]:
        if _SOURCE_NAME.match(source) is None:
            return []
        try:
            content = json.loads((self._directory / source).read_text())
            return [int(size) for size in content]
        except (FileNotFoundError, ValueError, TypeError):
            return []


def used_bytes(sandbox: Sandbox, spec: SandboxSpec) -> int:
    """What the files of a sandbox take, workspace and changes together."""
    if spec.scratch_bytes is None:
        return tree_size_bytes(spec.directory / "scratch")
    found = os.fstatvfs(sandbox.workspace_fd)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def available_memory_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """What the kernel thinks can be had without swapping."""
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
