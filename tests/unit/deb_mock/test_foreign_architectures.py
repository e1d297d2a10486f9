"""Whether programs of another architecture run here, found out by trying and explained."""

import pytest

from deb_mock.doctor import kernel
from deb_mock.doctor.finding import Status
from deb_mock.host import foreign
from deb_mock.host.foreign import ForeignSupport
from deborch_shared.errors import DeborchError

ARCHITECTURES = ("amd64", "i386", "arm64", "armhf", "armel", "riscv64", "ppc64el", "s390x", "loong64")


def refuses(_: bytes) -> bool:
    return False


@pytest.fixture
def binfmt(tmp_path):
    (tmp_path / "register").touch()
    return tmp_path


def test_the_own_architecture_is_not_tried():
    assert foreign.probe("amd64", "amd64", runs=refuses).runs


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_program_is_a_complete_elf_file(architecture):
    content = foreign.program(architecture)
    order = "big" if architecture == "s390x" else "little"
    wide = content[4] == 2
    entry = int.from_bytes(content[24 : 32 if wide else 28], order)
    size = int.from_bytes(content[96:104] if wide else content[68:72], order)
    assert content.startswith(b"\x7fELF")
    assert size == len(content)
    assert 0 < entry - 0x10000 < len(content)


def test_what_runs_is_said_to_run_and_by_what(binfmt):
    assert "processor" in foreign.probe("i386", "amd64", runs=lambda _: True, binfmt=binfmt).reason
    (binfmt / "qemu-aarch64").write_text("enabled\nflags: POCF\n")
    assert "qemu-user" in foreign.probe("arm64", "amd64", runs=lambda _: True, binfmt=binfmt).reason


def test_an_interpreter_that_runs_programs_here_and_not_in_a_buildroot_does_not_count(binfmt):
    (binfmt / "qemu-aarch64").write_text("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\n")
    support = foreign.probe("arm64", "amd64", runs=lambda _: True, binfmt=binfmt)
    assert not support.runs
    assert "without the flag F" in support.reason


@pytest.mark.parametrize(
    ("emulated", "own", "status", "said", "fix"),
    [
        ((), ("amd64",), Status.WARNING, "amd64 by the processor; no qemu-user for others", "arm64: get it"),
        (("arm64",), ("amd64",), Status.OK, "amd64 by the processor; arm64 by qemu-user", ""),
        (("broken",), ("amd64",), Status.WARNING, "amd64 by the processor; it is disabled", "arm64: get it"),
    ],
)
def test_the_doctor_says_what_was_tried_and_ran(monkeypatch, emulated, own, status, said, fix):
    arm64 = ForeignSupport(
        "arm64", runs="arm64" in emulated, reason="it is disabled", fix="get it", by_qemu=bool(emulated)
    )
    answers = (*(ForeignSupport(name, runs=True, reason="") for name in own), arm64)
    monkeypatch.setattr(foreign, "survey", lambda: answers)
    finding = kernel.foreign_architectures(None)
    assert (finding.status, finding.found) == (status, said)
    assert finding.fix.endswith(fix) and bool(finding.fix) == bool(fix)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (None, "no qemu-aarch64 is registered"),
        ("disabled\ninterpreter /usr/bin/qemu-aarch64\nflags: F\n", "disabled"),
        ("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\n", "without the flag F"),
        ("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: F\n", "does not run them"),
    ],
)
def test_what_does_not_run_has_a_reason_and_a_fix(binfmt, handler, reason):
    if handler is not None:
        (binfmt / "qemu-aarch64").write_text(handler)
    support = foreign.probe("arm64", "amd64", runs=refuses, binfmt=binfmt)
    assert not support.runs
    assert reason in support.reason
    assert "qemu-user-static" in support.fix
    assert "--host arm64" in support.fix


def test_without_binfmt_misc_the_fix_says_how_to_mount_it(tmp_path):
    assert "mount -t binfmt_misc" in foreign.probe("arm64", "amd64", runs=refuses, binfmt=tmp_path).fix


def test_an_unknown_architecture_is_a_policy_failure():
    with pytest.raises(DeborchError) as caught:
        foreign.require("vax", "amd64")
    assert caught.value.fields["failure_class"] == "policy"
