"""autopkgtest(1) of the source package (DEP-8), against the packages that were built.

It runs in a throwaway buildroot with its virtualisation server `null`: the sandbox around it is the testbed. Tests
that need a machine, or a network, are skipped by autopkgtest, as it skips them on any testbed that is a container.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from debian.deb822 import Deb822
from pydantic import Field

from deb_mock.failures import FailureClass
from deb_mock.model import BUILD_USER, ArtifactKind, CheckStatus
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
from deb_mock.plugins.offline_repository import OfflineRepository

_RESULT = re.compile(r"^(\S+)\s+(PASS|FAIL|SKIP|FLAKY)\b(.*)$")
_PASSED, _SOME_SKIPPED, _SOME_FAILED, _FAILED_AND_SKIPPED, _NO_TESTS = 0, 2, 4, 6, 8
_NOT_INSTALLED = re.compile(r"@\w*@?")


class AutopkgtestOptions(CheckOptions):
    """Options of autopkgtest."""

    tests: tuple[str, ...] = Field((), description="Names of the tests to run; all if none is given.")
    timeout_s: int = Field(3600, gt=0, description="Seconds that one test may take.")


class Autopkgtest(Check):
    """Fails with the class `test`."""

    name: ClassVar[str] = "autopkgtest"
    summary: ClassVar[str] = "The tests in debian/tests, against the packages that were built."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = AutopkgtestOptions
    failure_class: ClassVar[FailureClass] = FailureClass.TEST
    options: AutopkgtestOptions

    @hookimpl
    async def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport | None:
        """Read which packages the tests need, fetch them, run the tests without network."""
        async with rooms.open(("autopkgtest", *self.options.packages), with_source=True) as room:
            control = await _tests_control(build, room)
            if control is None:
                return CheckReport(CheckStatus.PASS, "the source package has no tests")
            debs = [each.name for each in results.artifacts if each.kind is ArtifactKind.DEB]
            repository = OfflineRepository(room)
            await repository.offer_results()
            for relations in _needs(control, sorted({name.split("_")[0] for name in debs})):
                await repository.fetch(relations)
            await repository.close()
            done = await room.run(self._command(build, debs), as_root=True, cwd=room.workspace, check=False)
            summary = await room.run(["cat", f"{room.workspace}/tested/summary"], as_root=True, quiet=True, check=False)
        return _judged(done.returncode, summary.output.decode("utf-8", "replace"), done.output)

    def _command(self, build: BuildContext, debs: Sequence[str]) -> list[str]:
        only = [f"--test-name={name}" for name in self.options.tests]
        limits = [f"--timeout-test={self.options.timeout_s}", f"--user={BUILD_USER}"]
        subject = ["--no-built-binaries", *debs, build.request.dsc.name]
        return ["autopkgtest", *only, *limits, "--output-dir=tested", "--no-apt-fallback", *subject, "--", "null"]


async def _tests_control(build: BuildContext, room: Buildroot) -> str | None:
    unpacked = f"{room.workspace}/looked-at"
    await room.run(
        ["dpkg-source", "--no-check", "-x", f"{room.workspace}/{build.request.dsc.name}", unpacked], quiet=True
    )
    found = await room.run(["cat", f"{unpacked}/debian/tests/control"], quiet=True, check=False)
    return found.output.decode("utf-8", "replace") if found.returncode == 0 else None


def _needs(control: str, built: Sequence[str]) -> list[list[str]]:
    """What each test needs, `@` being every package that was built (README.package-tests of autopkgtest)."""
    needs = []
    for stanza in Deb822.iter_paragraphs(control.splitlines(), use_apt_pkg=False):
        wanted = [relation.strip() for relation in str(stanza.get("Depends", "@")).split(",") if relation.strip()]
        relations = [relation for relation in wanted if not _NOT_INSTALLED.match(relation)]
        needs.append([*(built if "@" in wanted or "@recommends@" in wanted else ()), *relations])
    return needs


def _judged(returncode: int, summary: str, report: bytes) -> CheckReport:
    found = [match for line in summary.splitlines() if (match := _RESULT.match(line))]
    counts = {word: sum(match[2] == word for match in found) for word in ("PASS", "FAIL", "SKIP", "FLAKY")}
    said = ", ".join(f"{count} {word.lower()}" for word, count in counts.items() if count) or "no test ran"
    findings = tuple(" ".join(match[0].split()) for match in found if match[2] != "PASS")
    if returncode in {_PASSED, _NO_TESTS}:
        return CheckReport(CheckStatus.PASS, said, findings, report)
    if returncode == _SOME_SKIPPED:
        return CheckReport(CheckStatus.WARN, said, findings, report)
    if returncode in {_SOME_FAILED, _FAILED_AND_SKIPPED}:
        return CheckReport(CheckStatus.FAIL, said, findings, report)
    last = report.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return CheckReport(CheckStatus.FAIL, f"the testbed broke (exit code {returncode}): {last}", findings, report)
