"""What is in the packages, and whether it may be there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from deb_mock.model import ArtifactKind, CheckStatus
from deb_mock.plugins.api import (
    BuildContext,
    Buildroot,
    Check,
    CheckOptions,
    CheckReport,
    CheckRooms,
    PluginOptions,
    Results,
    hookimpl,
)

_TOP_LEVEL = ("bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "srv", "usr", "var")
"""Filesystem Hierarchy Standard 3.0 as amended by Debian Policy 9.1.1, what a package may bring."""
_FORBIDDEN = (
    r"usr/local/.+",
    r"usr/(?!bin|games|include|lib|libexec|sbin|share|src|local)[^/]+/.*",
    r"var/(run|lock|tmp)/.+",
    r"opt/.+",
)
"""Debian Policy 9.1.2 (usr/local), 9.1.4 (run); /opt is for software from elsewhere."""
_ENTRY = re.compile(r"(?P<mode>\S{10}) (?P<owner>\S+) +(?P<size>\S+) \S+ \S+ \./(?P<path>.*)")
_WORLD_WRITABLE = 8
_FOUND, _NOTHING_FOUND = 0, 1


class ContentsOptions(CheckOptions):
    """Options of contents."""

    forbidden: tuple[str, ...] = Field(
        _FORBIDDEN, description="Regular expressions of whole paths, without the first /, that no package may hold."
    )
    build_paths: bool = Field(True, description="Whether files that name the build directory are a failure.")
    setuid_allowed: tuple[str, ...] = Field((), description="Paths that may be setuid or setgid, with the first /.")


@dataclass(frozen=True, slots=True)
class _Finding:
    text: str
    fails: bool = True


class Contents(Check):
    """Needs nothing but dpkg-deb and grep, inside."""

    name: ClassVar[str] = "contents"
    summary: ClassVar[str] = "Lists the files of the packages; refuses paths outside of the FHS, build paths, setuid."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = ContentsOptions
    options: ContentsOptions

    @hookimpl
    async def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport:
        """Look into each package."""
        packages = [each.name for each in results.artifacts if each.kind in {ArtifactKind.DEB, ArtifactKind.UDEB}]
        report, findings = [], list[_Finding]()
        async with rooms.open(self.options.packages) as room:
            for name in packages:
                listing = await room.run(["dpkg-deb", "-c", f"{room.workspace}/{name}"], quiet=True)
                text = listing.output.decode("utf-8", "replace")
                report.append(f"{name}\n{text}")
                findings += [_Finding(f"{name}: {each.text}", each.fails) for each in self._judge(text)]
                if self.options.build_paths:
                    findings += await self._build_paths(build, room, name)
        failed = sum(finding.fails for finding in findings)
        status = CheckStatus.FAIL if failed else CheckStatus.WARN if findings else CheckStatus.PASS
        entries = sum(part.count("\n") - 1 for part in report)
        summary = f"{entries} entries in {len(packages)} packages, {failed} that may not be"
        return CheckReport(status, summary, tuple(each.text for each in findings), "\n".join(report).encode())

    def _judge(self, listing: str) -> Iterator[_Finding]:
        for line in listing.splitlines():
            match = _ENTRY.match(line)
            if match is None or not match["path"]:
                continue
            path, mode = match["path"].split(" -> ")[0].rstrip("/"), match["mode"]
            if path.split("/", 1)[0] not in _TOP_LEVEL:
                yield _Finding(f"/{path} is outside of the FHS")
            elif any(re.fullmatch(pattern, path) for pattern in self.options.forbidden):
                yield _Finding(f"/{path} may not be in a package")
            if set(mode) & {"s", "S"} and f"/{path}" not in self.options.setuid_allowed and mode[0] == "-":
                yield _Finding(f"/{path} is setuid or setgid ({mode})")
            if mode[0] == "-" and mode[_WORLD_WRITABLE] == "w":
                yield _Finding(f"/{path} may be written by everybody ({mode})")

    async def _build_paths(self, build: BuildContext, room: Buildroot, name: str) -> list[_Finding]:
        if build.source is None:
            return []
        directory = f"{room.workspace}/unpacked"
        await room.run(["mkdir", "-p", directory], quiet=True)
        await room.run(["dpkg-deb", "-x", f"{room.workspace}/{name}", f"{directory}/{name}"], quiet=True)
        wanted = f"{room.workspace}/{build.source.name}-"
        found = await room.run(["grep", "-rlFe", wanted, f"{directory}/{name}"], quiet=True, check=False)
        if found.returncode not in {_FOUND, _NOTHING_FOUND}:
            return [_Finding(f"{name}: not searched for build paths: grep ended with {found.returncode}")]
        paths = found.output.decode("utf-8", "replace").splitlines()
        return [
            _Finding(f"{name}: {path.removeprefix(f'{directory}/{name}')} names the build directory") for path in paths
        ]
