"""debdiff(1) against the version before: what came, what went, what moved, what is needed now."""

import asyncio
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from debian.deb822 import Changes
from pydantic import Field

from deb_mock.failures import FailureClass, failure
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
from deborch_shared.errors import ErrorCode
from deborch_shared.sources import check_file_name

_REMOVED = re.compile(r"Files (?:only )?in first (?:set of \.debs|\.deb) but not in second|Files in first")
_DEPENDENCIES = re.compile(r"^(Pre-)?Depends: \[-|^(Pre-)?Depends:", re.MULTILINE)
_DIFFERENT = 1
_LIMIT_BYTES = 512 << 20


class Objection(StrEnum):
    """What makes a difference a failure."""

    REMOVED = "removed-files"
    DEPENDENCIES = "dependencies"
    ANY = "any"


class DebdiffOptions(CheckOptions):
    """Options of debdiff."""

    previous: tuple[Path, ...] = Field(
        (), description="The .deb or .changes files of the version before; without, apt fetches the suite's own."
    )
    fail_on: tuple[Objection, ...] = Field((Objection.REMOVED,), description="removed-files, dependencies or any.")


class Debdiff(Check):
    """The version before is fetched and verified by apt, with the network; the comparison has none."""

    name: ClassVar[str] = "debdiff"
    summary: ClassVar[str] = "Compares the packages with those of the version before."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = DebdiffOptions
    options: DebdiffOptions

    @hookimpl
    async def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport | None:
        """Compare package by package, so that a new binary package hides nothing."""
        new = {each.name.split("_")[0]: each.name for each in results.artifacts if each.kind is ArtifactKind.DEB}
        async with rooms.open(("devscripts", *self.options.packages)) as room:
            if self.options.previous:
                old = await asyncio.to_thread(self._given, room)
            else:
                old = await self._fetched(build, room, sorted(new))
            pairs = {name: (old[name], new[name]) for name in sorted(new.keys() & old.keys())}
            if not pairs:
                return CheckReport(CheckStatus.PASS, "there is no version before to compare with")
            outputs = {name: await self._compared(room, *pair) for name, pair in pairs.items()}
        gone = sorted(old.keys() - new.keys()) if self.options.previous else []
        return self._judged(outputs, gone)

    async def _compared(self, room: Buildroot, old: str, new: str) -> str:
        arguments = ["debdiff", "--controlfiles", "ALL", "--show-moved", old, new]
        done = await room.run(arguments, cwd=room.workspace, quiet=True, check=False)
        text = done.output.decode("utf-8", "replace")
        if done.returncode not in {0, _DIFFERENT}:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.PROCESS_FAILED,
                f"debdiff {old} {new} ended with {done.returncode}: {text[-300:]}",
                hint="are these packages of one name?",
            )
        return text if done.returncode == _DIFFERENT else ""

    def _judged(self, outputs: dict[str, str], gone: Sequence[str]) -> CheckReport:
        different = {name: text for name, text in outputs.items() if text}
        objections = [f"{name} is no longer built" for name in gone]
        for name, text in different.items():
            if Objection.REMOVED in self.options.fail_on and _REMOVED.search(text):
                objections.append(f"{name}: files are gone")
            if Objection.DEPENDENCIES in self.options.fail_on and _DEPENDENCIES.search(text):
                objections.append(f"{name}: dependencies differ")
            if Objection.ANY in self.options.fail_on:
                objections.append(f"{name}: differs")
        report = "\n".join(f"== {name}\n{text or 'no difference'}" for name, text in outputs.items()).encode()
        if objections:
            return CheckReport(CheckStatus.FAIL, "; ".join(objections), tuple(objections), report)
        summary = f"{len(different)} of {len(outputs)} packages differ from the version before"
        findings = tuple(f"{name}: see the report" for name in different)
        return CheckReport(CheckStatus.WARN if different else CheckStatus.PASS, summary, findings, report)

    def _given(self, room: Buildroot) -> dict[str, str]:
        """The .debs that the options name, put into `room` beside the new ones."""
        paths: list[Path] = []
        for path in self.options.previous:
            if path.suffix == ".changes":
                named = [str(entry["name"]) for entry in Changes(path.read_text())["Files"]]
                paths += [path.parent / check_file_name(name, path.name) for name in named if name.endswith(".deb")]
            else:
                paths.append(path)
        placed = {}
        for path in paths:
            room.put(f"old-{path.name}", path.read_bytes())
            placed[path.name.split("_")[0]] = f"old-{path.name}"
        return placed

    async def _fetched(self, build: BuildContext, room: Buildroot, names: Sequence[str]) -> dict[str, str]:
        """What apt has of `names`; a package that is new in the suite has no version before."""
        placed = {}
        for name in names:
            command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "--", name]
            done = await room.run(command, as_root=True, cwd="/tmp", network=True, check=False)  # noqa: S108
            if done.returncode != 0:
                build.say(f"apt has no {name} in {build.request.suite}")
                continue
            found = await room.run(["find", "/tmp", "-maxdepth", "1", "-name", f"{name}_*.deb"], quiet=True)  # noqa: S108
            placed[name] = found.output.decode().strip()
        return placed
