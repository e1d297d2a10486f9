"""What asking the host's apt and dpkg gives, remembered until one of the files that say so changes: three programs less
to start before each build."""

import asyncio
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deb_mock.bases.making import tool_versions
from deborch_shared import process
from deborch_shared.apt.host import HostApt, read_host_apt

_DEPENDS_ON = (
    "etc/apt/apt.conf",
    "etc/apt/apt.conf.d",
    "etc/apt/apt.conf.d/*",
    "var/lib/dpkg/status",
    "var/lib/dpkg/arch",
)
_FORMAT = 2
"""Of what is remembered; since 2 there are no proxies in it."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Of this host."""

    architecture: str
    versions: Mapping[str, str]
    """Of mmdebstrap, apt and dpkg."""
    apt_settings: Mapping[str, str]
    """Those that a base needs as well."""


async def host_facts(memory: Path) -> tuple[HostFacts, HostApt]:
    """The facts, from the file `memory` if it still holds, and the apt configuration with them.

    Raises:
        DeborchError: INVALID_SETTING if the host has no apt, CHROOT_FAILED if it has no mmdebstrap.
    """
    key = signature(Path("/"))
    facts = _read(memory, key)
    if facts is not None:
        return facts, await read_host_apt(settings=facts.apt_settings)
    architecture, versions, host = await asyncio.gather(native_architecture(), tool_versions(), read_host_apt())
    facts = HostFacts(architecture, versions, host.settings)
    memory.parent.mkdir(parents=True, exist_ok=True)
    temporary = memory.with_name(f".{memory.name}.{secrets.token_hex(4)}")
    temporary.write_text(json.dumps({"signature": key, "facts": asdict(facts)}))
    temporary.rename(memory)
    return facts, host


async def native_architecture() -> str:
    """As dpkg names it."""
    return (await process.run(["dpkg", "--print-architecture"], timeout_s=30)).output.decode().strip()


def signature(root: Path) -> list[list[str | int]]:
    """Names, times and sizes of everything that the facts depend on."""
    paths: Iterable[Path] = sorted(path for pattern in _DEPENDS_ON for path in root.glob(pattern))
    found = ((str(path), path.stat()) for path in paths)
    files: list[list[str | int]] = [[name, it.st_mtime_ns, it.st_size, it.st_ino] for name, it in found]
    return [["format", _FORMAT], *files]


def _read(memory: Path, key: list[list[str | int]]) -> HostFacts | None:
    try:
        content = json.loads(memory.read_text())
        return HostFacts(**content["facts"]) if content["signature"] == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
