"""The command line of a virtual machine, its console, and what is chosen to be started."""

import base64

import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools, finished
from typer.testing import CliRunner

from deb_bootc_compose.boot.acceleration import accelerator_of
from deb_bootc_compose.boot.choice import chosen_disk
from deb_bootc_compose.boot.console import Console, Hopeless
from deb_bootc_compose.boot.guest import credentials_of_test
from deb_bootc_compose.boot.machine import Accelerator, Disk, FirmwareKind, Machine, check_architecture
from deb_bootc_compose.boot.session import run_guest
from deb_bootc_compose.cli.app import app
from deb_bootc_compose.outputs.disk.iso import IsoImage
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError, ErrorCode


def machine(tmp_path, **options: object):
    return Machine(
        **{"disks": (Disk(tmp_path / "disk.raw"),), "scratch": tmp_path, "accelerator": Accelerator.TCG, **options}
    )


def test_a_disk_is_not_written_to_unless_that_is_asked_for(tmp_path):
    line = " ".join(machine(tmp_path).command())
    assert "snapshot=on" in line
    assert [bound.writable for bound in machine(tmp_path).bound() if bound.path.name == "disk.raw"] == [False]
    kept = machine(tmp_path, disks=(Disk(tmp_path / "disk.raw", writable=True),))
    assert "snapshot=off" in " ".join(kept.command())


def test_bios_has_no_uefi_firmware(tmp_path):
    assert "pflash" not in " ".join(machine(tmp_path, firmware=FirmwareKind.BIOS).command())
    assert "pflash" in " ".join(machine(tmp_path).command())


def test_the_unit_of_the_test_comes_by_smbios_and_not_by_the_disk(tmp_path):
    line = machine(tmp_path, credentials=credentials_of_test(then="off")).command()
    units = [word for word in line if "systemd.extra-unit.deborch-boot-test.service=" in word]
    service = base64.b64decode(units[0].rpartition("service=")[2]).decode()
    assert "After=multi-user.target" in service
    assert service.rstrip().endswith("deborch.boot-test off")


def test_other_architectures_are_refused():
    check_architecture("amd64", "amd64")
    with pytest.raises(DeborchError, match="disks for arm64 are not started on amd64"):
        check_architecture("arm64", "amd64")


async def test_kvm_is_used_only_where_a_guest_ran(tmp_path):
    kvm = tmp_path / "kvm"
    assert await accelerator_of(FakeTools(), kvm) is Accelerator.TCG
    kvm.touch()
    assert await accelerator_of(FakeTools(lambda _: finished(33, b"deborch")), kvm) is Accelerator.KVM
    assert await accelerator_of(FakeTools(lambda _: finished(1, b"failed to initialize kvm")), kvm) is Accelerator.TCG

    def hangs(_):
        raise DeborchError(ErrorCode.PROCESS_TIMEOUT, "took too long")

    assert await accelerator_of(FakeTools(hangs), kvm) is Accelerator.TCG


def test_a_panic_ends_the_wait_even_if_it_comes_in_two_pieces():
    heard = []
    console = Console(heard.append)
    console.take(b"[    1.0] Kernel pa")
    with pytest.raises(Hopeless, match="panicked"):
        console.take(b"nic - not syncing\n")
    assert b"".join(heard) == b"[    1.0] Kernel panic - not syncing\n"


def test_the_last_lines_are_shown_without_colours():
    console = Console(lambda _: None)
    console.take(b"\x1b[2J\x1b[01;01H\r\n[\x1b[0;32m  OK  \x1b[0m] Reached target\r\n\r\nlogin: ")
    assert console.last_lines() == "[  OK  ] Reached target\nlogin:"


async def test_a_guest_that_does_not_come_up_is_told_with_the_end_of_its_console(tmp_path):
    tools = FakeTools(lambda _: b"GRUB\nerror: no such device\ngrub rescue> ")
    with pytest.raises(DeborchError, match="GRUB did not find the root file system") as caught:
        await run_guest(tools, machine(tmp_path), then="off", starts=1, on_output=lambda _: None)
    assert "error: no such device" in caught.value.message
    assert caught.value.fields["failure_class"] == "boot"


async def test_a_guest_whose_timer_the_host_starved_is_started_again(tmp_path):
    panic = b"..MP-BIOS bug: 8254 timer not connected to IO-APIC\nKernel panic - not syncing: IO-APIC + timer\n"
    consoles = [panic, panic, b"login: "]
    heard = []

    told = await run_guest(
        FakeTools(lambda _: consoles.pop(0)), machine(tmp_path), then="off", starts=1, on_output=heard.append
    )

    assert told.console_end == "login:"
    assert b"".join(heard).count(b"started again") == 2
    with pytest.raises(DeborchError, match="the kernel panicked"):
        await run_guest(FakeTools(lambda _: panic), machine(tmp_path), then="off", starts=1, on_output=heard.append)


async def test_a_guest_that_kvm_gives_up_is_started_again_without(tmp_path):
    tools = FakeTools(lambda asked: b"login: " if any("tcg" in word for word in asked.argv) else b"KVM internal error.")

    kvm = machine(tmp_path, accelerator=Accelerator.KVM)
    told = await run_guest(tools, kvm, then="off", starts=1, on_output=lambda _: None)

    assert told.console_end == "login:"
    assert len(tools.asked) == 2


async def test_a_guest_that_is_too_slow_is_told_with_the_end_of_its_console(tmp_path):
    class SlowTools(FakeTools):
        async def run(self, argv, *, on_output=None, timeout_s=None, **options: object):
            on_output(b"Starting something endless\n")
            raise DeborchError(ErrorCode.PROCESS_TIMEOUT, "took too long")

    with pytest.raises(DeborchError, match="did not report within 900 s, without KVM") as caught:
        await run_guest(SlowTools(), machine(tmp_path), then="off", starts=1, on_output=lambda _: None)
    assert "Starting something endless" in caught.value.message


def compose_with(tmp_path, *files: str):
    state = State(tmp_path)
    compose = state.composes / "minimal-13-20261127.0"
    compose.mkdir(parents=True)
    (compose / "COMPOSE_ID").write_text("minimal-13-20261127.0\n")
    for name in files:
        path = compose / "compose" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return state


def test_the_raw_disk_of_a_compose_is_chosen_before_the_qcow2(tmp_path):
    state = compose_with(tmp_path, "minimal/amd64/images/a.qcow2", "minimal/amd64/images/a.raw")
    found = chosen_disk(state, "minimal-13-20261127.0", None)
    assert (found.path.name, found.format, found.variant, found.architecture) == ("a.raw", "raw", "minimal", "amd64")


def test_of_several_variants_one_has_to_be_chosen(tmp_path):
    state = compose_with(tmp_path, "server/amd64/images/s.raw", "edge/amd64/images/e.raw")
    with pytest.raises(DeborchError, match="edge for amd64, server for amd64"):
        chosen_disk(state, "minimal-13-20261127.0", None)
    assert chosen_disk(state, "minimal-13-20261127.0", "edge").path.name == "e.raw"


def test_a_compose_without_disks_and_a_missing_file_are_told(tmp_path):
    state = compose_with(tmp_path, "minimal/amd64/images/a.ociarchive")
    with pytest.raises(DeborchError, match="has no raw or qcow2 disk"):
        chosen_disk(state, "minimal-13-20261127.0", None)
    with pytest.raises(DeborchError, match="there is no disk"):
        chosen_disk(state, str(tmp_path / "none.raw"), None)


def test_the_command_tells_what_it_cannot_start(tmp_path):
    ended = CliRunner().invoke(app, ["boot", "--state-dir", str(tmp_path), str(tmp_path / "none.raw")])
    assert ended.exit_code == 3
    assert "there is no disk" in ended.stderr


def test_an_iso_is_refused_before_anything_is_made(tmp_path):
    treefile = ResolvedTreefile(
        name="a", variant="a", architecture="amd64", directory=tmp_path, suite="trixie", ref="a", outputs=("iso",)
    )
    with pytest.raises(DeborchError, match="ISO images are not offered") as caught:
        IsoImage().wanted(ComposeRequest(treefile=tmp_path), treefile)
    assert "raw" in caught.value.hint
    assert not IsoImage().wanted(ComposeRequest(treefile=tmp_path, outputs=(OutputKind.RAW,)), treefile)
