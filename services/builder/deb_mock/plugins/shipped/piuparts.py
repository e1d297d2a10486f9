"""piuparts(1): do the packages install, upgrade and leave nothing behind when they are purged?

piuparts mounts in its chroot, which nothing in a sandbox of ours may. So the throwaway buildroot itself is the chroot
that is tested: a stand-in for schroot(1) tells piuparts that its session is at `/`, and one for lsof(8) shows it the
processes that are not its own. Everything that apt fetches is there before, so the test has no network.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from deb_mock.failures import FailureClass
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
from deb_mock.plugins.offline_repository import OfflineRepository
from deborch_shared.process import ProcessResult

_SCHROOT = b"""\
#!/bin/sh
# The session is this very root: say where it is, or run what follows --.
for word in "$@"; do
  case "$word" in
    --location) echo /; exit 0 ;;
    --begin-session | --end-session) exit 0 ;;
  esac
done
while [ $# -gt 0 ]; do
  word=$1; shift
  if [ "$word" = -- ]; then cd / && exec "$@"; fi
done
exit 1
"""
_LSOF = b"""\
#!/bin/sh
# Processes beside piuparts itself. With -t they are to be killed, which the end of the sandbox does.
case " $* " in *" -t "*) exit 0 ;; esac
own=" "; pid=$$
while [ "$pid" -gt 0 ]; do
  own="$own$pid "
  pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) || pid=0
  [ -n "$pid" ] || pid=0
done
for directory in /proc/[0-9]*; do
  pid=${directory#/proc/}
  case "$own" in *" $pid "*) continue ;; esac
  parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$directory/status" 2>/dev/null)
  [ "$parent" = $$ ] && continue
  command=$(tr '\\0' ' ' <"$directory/cmdline" 2>/dev/null)
  [ -n "$command" ] && echo "$pid $command"
done
exit 0
"""
_NOT_OF_PACKAGES = r"/(build|dev|proc|sys|tmp|run)(/.*)?"
_LINE = re.compile(r"\d+m[\d.]+s ([A-Z]+): (.*)")


class PiupartsOptions(CheckOptions):
    """Options of piuparts."""

    upgrade: bool = Field(False, description="Try the upgrade from the suite's own version too.")
    warn_on_leftovers: bool = Field(
        False, description="Files left after purge are a warning (--warn-on-leftovers-after-purge)."
    )


class Piuparts(Check):
    """Fails with the class `test`."""

    name: ClassVar[str] = "piuparts"
    summary: ClassVar[str] = "Installs, upgrades and purges the packages; nothing may be left."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = PiupartsOptions
    failure_class: ClassVar[FailureClass] = FailureClass.TEST
    options: PiupartsOptions

    @hookimpl
    async def check(self, build: BuildContext, results: Results, rooms: CheckRooms) -> CheckReport:
        """Fetch what the packages need, then run it without network."""
        debs = [each.name for each in results.artifacts if each.kind is ArtifactKind.DEB]
        if not debs:
            return CheckReport(CheckStatus.PASS, "no binary package was built")
        async with rooms.open(("piuparts", *self.options.packages)) as room:
            repository = OfflineRepository(room)
            await repository.offer_results()
            await repository.fetch(sorted({name.split("_")[0] for name in debs}))
            await repository.close()
            for name, script in (("schroot", _SCHROOT), ("lsof", _LSOF)):
                room.put(name, script)
                await room.run(
                    ["install", "-m", "0755", f"{room.workspace}/{name}", f"/usr/local/bin/{name}"],
                    as_root=True,
                    quiet=True,
                )
            done = await self._run(room, build, debs)
        return _judged(done.returncode, done.output)

    async def _run(self, room: Buildroot, build: BuildContext, debs: list[str]) -> ProcessResult:
        options = ["--schroot=buildroot", "--keep-sources-list", "--no-eatmydata", f"--ignore-regex={_NOT_OF_PACKAGES}"]
        options += ["--distribution", build.request.suite, "--log-level=info", "--skip-logrotatefiles-test"]
        options += [] if self.options.upgrade else ["--no-upgrade-test"]
        options += ["--warn-on-leftovers-after-purge"] if self.options.warn_on_leftovers else []
        return await room.run(["piuparts", *options, *debs], as_root=True, cwd=room.workspace, check=False)


def _judged(returncode: int, output: bytes) -> CheckReport:
    said = list(_messages(output.decode("utf-8", "replace")))
    bad = tuple(
        text for level, text in said if level in {"ERROR", "FAIL"} and not text.startswith(("WARN", "piuparts run"))
    )
    warned = tuple(text for level, text in said if level == "WARN" or text.startswith("WARN"))
    if returncode != 0:
        return CheckReport(
            CheckStatus.FAIL, bad[0] if bad else f"piuparts ended with {returncode}", bad + warned, output
        )
    if warned:
        return CheckReport(CheckStatus.WARN, warned[0], warned, output)
    return CheckReport(CheckStatus.PASS, "installed and purged, nothing left", (), output)


def _messages(text: str) -> Iterator[tuple[str, str]]:
    """Level and text of what piuparts says, its indented details joined; without links of /dev, which is ours."""
    entries: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if (match := _LINE.match(line)) is not None:
            entries.append((match[1], [match[2].strip()]))
        elif entries and line.startswith("  "):
            entries[-1][1].append(line.strip())
    for level, (first, *details) in entries:
        kept = [line for line in details if not line.startswith("dev/")]
        if kept or not details:
            yield level, " ".join([first, *kept])
