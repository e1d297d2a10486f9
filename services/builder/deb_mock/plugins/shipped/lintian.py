"""lintian(1) over the .changes and the source package."""

import re
from collections import Counter
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from deb_mock.model import ArtifactKind, CheckStatus
from deb_mock.plugins.api import (
    BuildContext,
    Check,
    CheckOptions,
    CheckReport,
    CheckRooms,
    PluginOptions,
    Results,
    hookimpl,
)

_LINE = re.compile(r"([EWIPXOC]): (\S+)(?: (?:source|udeb|changes|buildinfo))?: ([a-z0-9-]+)(.*)")
_FOUND_SOMETHING = 2
"""lintian's exit code for tags of the level of --fail-on."""


class Level(StrEnum):
    """Severities of lintian's tags, as --fail-on names them."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    PEDANTIC = "pedantic"


_LETTERS = {"E": Level.ERROR, "W": Level.WARNING, "I": Level.INFO, "P": Level.PEDANTIC}


class LintianOptions(CheckOptions):
    """Options of lintian."""

    fail_on: tuple[Level, ...] = Field((Level.ERROR,), description="Severities that fail the check.")
    warn_on: tuple[Level, ...] = Field((Level.WARNING,), description="Severities that make it a warning.")
    suppress_tags: tuple[str, ...] = Field((), description="Tags that are not shown.")
    profile: str = Field("", pattern=r"^[a-z0-9/-]*$", description="Such as debian/ftp-master-auto.")
    source: bool = Field(True, description="Look at the source package too.")


class Lintian(Check):
    """Runs as the build user, without network."""

    name: ClassVar[str] = "lintian"
    summary: ClassVar[str] = "lintian over the results and the source package."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = LintianOptions
    options: LintianOptions

    @hookimpl
    async def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport:
        """Run it, and count what it says."""
        names = [artifact.name for artifact in results.artifacts if artifact.kind is ArtifactKind.CHANGES]
        if self.options.source:
            names.append(build.request.dsc.name)
        async with rooms.open(("lintian", *self.options.packages), with_source=self.options.source) as room:
            done = await room.run(
                ["lintian", *self._arguments(), *names], cwd=room.workspace, env={"TMPDIR": room.workspace}, check=False
            )
        if done.returncode not in {0, _FOUND_SOMETHING}:
            text = done.output.decode("utf-8", "replace")[-300:]
            return CheckReport(
                CheckStatus.FAIL, f"lintian broke with exit code {done.returncode}: {text}", (), done.output
            )
        return self._judge(done.output)

    def _arguments(self) -> list[str]:
        wanted = {*self.options.fail_on, *self.options.warn_on}
        shown = [f"--display-{level}" for level in (Level.INFO,) if level in wanted]
        shown += ["--pedantic"] if Level.PEDANTIC in wanted else []
        shown += ["--profile", self.options.profile] if self.options.profile else []
        shown += ["--suppress-tags", ",".join(self.options.suppress_tags)] if self.options.suppress_tags else []
        return ["--no-cfg", "--allow-root", "--tag-display-limit", "0", "--fail-on", "none", *shown]

    def _judge(self, output: bytes) -> CheckReport:
        found = [match for line in output.decode("utf-8", "replace").splitlines() if (match := _LINE.match(line))]
        levels = Counter(_LETTERS[match[1]] for match in found if match[1] in _LETTERS)
        if any(levels[level] for level in self.options.fail_on):
            status = CheckStatus.FAIL
        elif any(levels[level] for level in self.options.warn_on):
            status = CheckStatus.WARN
        else:
            status = CheckStatus.PASS
        counts = ", ".join(f"{levels[level]} {level.value}" for level in Level if levels[level])
        findings = tuple(match[0] for match in sorted(found, key=lambda match: "EWIP".find(match[1]) % 99))
        return CheckReport(status, counts or "no tags", findings, output)
