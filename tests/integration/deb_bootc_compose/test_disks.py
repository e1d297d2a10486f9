"""Disks of a real commit: the same to the bit, bootable, upgraded and rolled back in a virtual machine."""

import asyncio
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import pytest

from deb_bootc_compose.boot.phases import BootTest, UpgradeTest
from deb_bootc_compose.outputs.disk.qcow2 import Qcow2Disk
from deb_bootc_compose.outputs.disk.raw import RawDisk
from deb_bootc_compose.phases.api import PhaseResult
from deb_bootc_compose.phases.facts import FileFacts, TestFacts
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.treefile.outputs import DiskSettings
from deborch_shared.errors import DeborchError

KARGS = ("console=tty0", "console=ttyS0,115200n8")


class Printed:
    """A progress that pytest shows if the test fails: the console of the guest is in it."""

    def step(self, what, done=0.0, total=0.0):
        sys.stdout.write(f"{what}\n")

    def log(self, text):
        sys.stdout.write(text.decode("utf-8", "replace"))


async def result_of(phase, work):
    work.directory.mkdir(parents=True)
    return PhaseResult(phase.name, work.target, "", await phase.run(work), work.directory)


def bound(result):
    return [Bound(result.directory)]


def file_of(result):
    return result.directory / FileFacts.model_validate(result.facts).path


@pytest.fixture(scope="module")
def place(cached_state):
    """A directory on the file system of the work repository."""
    cached_state.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="test-disks.", dir=cached_state.scratch) as path:
        yield Path(path)


@pytest.fixture(scope="module")
def work(minimal_tree, phase_work, place):
    """For a phase after `ostree`, with a console that a test can read."""
    disk = DiskSettings(root_password_empty=True)
    treefile = minimal_tree.treefile.model_copy(update={"kargs": KARGS, "disk": disk})
    made = phase_work(treefile, ostree=minimal_tree.committed)
    return dataclasses.replace(made, directory=place / "raw", progress=Printed())


@pytest.fixture(scope="module")
def raw(work):
    return asyncio.run(result_of(RawDisk(), work))


def beside(work, name, *results: PhaseResult):
    known = {**work.results, **{result.phase: result for result in results}}
    return dataclasses.replace(work, directory=work.directory.with_name(name), results=known)


async def test_two_disks_of_one_commit_are_the_same_to_the_bit(work, raw):
    again = await result_of(RawDisk(), beside(work, "again"))
    assert again.facts == raw.facts
    assert list(again.directory.iterdir()) == [file_of(again)]
    assert file_of(again).stat().st_blocks * 512 < again.facts["size_bytes"]


async def test_the_file_system_of_a_disk_has_no_errors_and_the_bootloader_entry(minimal_tree, tools, raw):
    async def said(*argv: str):
        return (await tools.run(argv, bound=bound(raw))).output.decode()

    table = await said("sfdisk", "--dump", str(file_of(raw)))
    assert [f'name="{name}"' in table for name in ("bios", "esp", "root")] == [True] * 3
    root = f"{file_of(raw)}?offset={int(table.split('start=')[3].split(',')[0]) * 512}"
    await said("e2fsck", "-fn", root)
    entry = await said("debugfs", "-R", "cat /boot/loader.1/entries/ostree-1.conf", root)
    assert "options root=UUID=" in entry
    assert "console=tty0 console=ttyS0" in entry
    shadow = f"cat /ostree/deploy/debian/deploy/{minimal_tree.facts.commit}.0/etc/shadow"
    assert "\nroot::" in "\n" + await said("debugfs", "-R", shadow, root)


async def test_a_qcow2_holds_what_the_raw_disk_holds(work, tools, raw):
    small = await result_of(Qcow2Disk(), beside(work, "qcow2", raw))
    paths = [str(file_of(raw)), str(file_of(small))]
    await tools.run(["qemu-img", "compare", *paths], bound=[*bound(raw), *bound(small)])
    assert small.facts["size_bytes"] < raw.facts["size_bytes"] / 2


async def test_a_disk_that_is_too_small_leaves_nothing(work):
    treefile = work.treefile.model_copy(update={"disk": DiskSettings(size_mib=256)})
    small = dataclasses.replace(beside(work, "small"), treefiles={work.target: treefile})
    with pytest.raises(DeborchError, match="a disk of 256 MiB is too small"):
        await result_of(RawDisk(), small)
    assert list(small.directory.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_the_minimal_disk_boots_into_its_commit(work, minimal_tree, raw):
    tested = await result_of(BootTest(), beside(work, "boot", raw))
    facts = minimal_tree.facts
    assert TestFacts.model_validate(tested.facts).checks == (
        "boot: ostree= on the kernel command line",
        f"boot: booted {facts.commit}",
        "boot: /usr read-only",
        "boot: /etc and /var writable",
        f"boot: {facts.package_count} packages",
        "boot: no failed units",
    )
    assert list(tested.directory.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not os.environ.get("DEBORCH_TEST_UPGRADE"), reason="three boots: set DEBORCH_TEST_UPGRADE=1")
async def test_the_minimal_disk_is_upgraded_and_rolled_back(work, minimal_tree, raw):
    """One virtual machine that starts three times."""
    tested = await result_of(UpgradeTest(), beside(work, "upgrade", raw))
    checks = TestFacts.model_validate(tested.facts).checks
    commit = minimal_tree.facts.commit
    assert f"boot: booted {commit}" in checks
    assert f"rolled-back: booted {commit}" in checks
    assert any(check.startswith("upgraded: booted ") and commit not in check for check in checks)
    assert list(tested.directory.iterdir()) == []
