"""The phases `test.boot` and `test.upgrade`: the disk in a virtual machine, as its users will start it."""

import asyncio
import shutil
from pathlib import Path

from deb_bootc_compose.boot.acceleration import accelerator_of
from deb_bootc_compose.boot.guest import SCRIPT_DIGEST
from deb_bootc_compose.boot.machine import Accelerator, Disk, Machine, check_architecture
from deb_bootc_compose.boot.next_commit import Upgrade, prepare_upgrade
from deb_bootc_compose.boot.report import BOOT, ROLLED_BACK, UPGRADED, Expected, problems, what_held
from deb_bootc_compose.boot.session import Told, did_not_boot, run_guest, scratch_in
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.full_disk import full_disk_is_told
from deb_bootc_compose.outputs.disk.asked import is_tested
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import FileFacts, OstreeFacts, TestFacts
from deb_bootc_compose.phases.request import ComposeRequest, TestKind
from deb_bootc_compose.tools.making import native_architecture
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class _MachineTest(BarePhase):
    """Needs the machine to itself: without KVM it computes for minutes, and what it starts has time limits."""

    needs = ("ostree", "output.raw")
    after = ("lint", "output.*")
    exclusive = True

    async def inputs(self, work: PhaseWork) -> JsonObject:
        check_architecture(work.treefile.architecture, native_architecture())
        machine = await work.tools.machine()
        return {"tools": [work.tools.digest, machine.digest], "script": SCRIPT_DIGEST}

    async def run(self, work: PhaseWork) -> JsonObject:
        with failures_are(FailureClass.BOOT), full_disk_is_told(work.directory):
            machine = await work.tools.machine()
            scratch = await asyncio.to_thread(scratch_in, work.directory)
            try:
                checks = await self._checked(work, machine, scratch)
            finally:
                await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
            return TestFacts(checks=checks).model_dump(mode="json")

    async def _checked(self, work: PhaseWork, machine: Tools, scratch: Path) -> tuple[str, ...]:
        raise NotImplementedError


class BootTest(_MachineTest):
    """It comes up by UEFI, in the commit that was made, with everything in its place."""

    name = "test.boot"

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return TestKind.BOOT in request.tests and is_tested(request, treefile)

    async def _checked(self, work: PhaseWork, machine: Tools, scratch: Path) -> tuple[str, ...]:
        ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
        told = await _started(work, machine, scratch, (Disk(_raw_disk(work)),), then="off", starts=1)
        return _verdict(told, {BOOT: Expected(ostree.commit, ostree.package_count)})


class UpgradeTest(_MachineTest):
    """It is upgraded from the commit before by `ostree admin upgrade`, and goes back to it."""

    name = "test.upgrade"

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return TestKind.UPGRADE in request.tests and is_tested(request, treefile)

    async def _checked(self, work: PhaseWork, machine: Tools, scratch: Path) -> tuple[str, ...]:
        ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
        work.progress.step("preparing the upgrade")
        upgrade = await prepare_upgrade(work, ostree, _raw_disk(work), scratch)
        disks = (Disk(upgrade.disk), Disk(upgrade.next_disk))
        told = await _started(work, machine, scratch, disks, then="upgrade", starts=3)
        return (upgrade.description, *_verdict(told, _expected(upgrade, ostree)))


def _expected(upgrade: Upgrade, ostree: OstreeFacts) -> dict[str, Expected]:
    before = Expected(upgrade.before, ostree.package_count if upgrade.before == ostree.commit else None)
    return {BOOT: before, UPGRADED: Expected(upgrade.next, ostree.package_count), ROLLED_BACK: before}


async def _started(
    work: PhaseWork, tools: Tools, scratch: Path, disks: tuple[Disk, ...], *, then: str, starts: int
) -> Told:
    accelerator = await accelerator_of(tools)
    how = "by KVM" if accelerator is Accelerator.KVM else "without KVM: minutes"
    work.progress.step(f"starting the disk {how}")
    machine = Machine(disks=disks, scratch=scratch, accelerator=accelerator)
    return await run_guest(tools, machine, then=then, starts=starts, on_output=work.progress.log)


def _raw_disk(work: PhaseWork) -> Path:
    raw = work.results["output.raw"]
    return raw.directory / FileFacts.model_validate(raw.facts).path


def _verdict(told: Told, expected: dict[str, Expected]) -> tuple[str, ...]:
    """What held at each start.

    Raises:
        DeborchError: CHECK_FAILED with everything that did not.
    """
    held: list[str] = []
    for stage, wanted in expected.items():
        report = told.reports.get(stage)
        wrong = list(problems(report, wanted))
        if wrong or report is None:
            raise did_not_boot(f"{stage}: {'; '.join(wrong)}", told.console_end, problems=wrong)
        held += what_held(report, wanted)
    return tuple(held)
