"""What the doctor makes of what it sees; that it sees right is for the integration tests."""

import os
from types import SimpleNamespace

import pytest

from deb_mock.cli.doctor import _show
from deb_mock.configuration.templates import SHIPPED
from deb_mock.doctor import examination, filesystems, tools
from deb_mock.doctor.archive import by_the_clock
from deb_mock.doctor.finding import Finding, Status, Subject, scratch_directory, tried
from deb_mock.engine_config import EngineConfig
from deborch_shared.errors import DeborchError, ErrorCode

NOON_S = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC
SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
GIB = 1 << 30


@pytest.fixture
def subject(tmp_path):
    return Subject(EngineConfig(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache"), "trixie")


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ("Date: Thu, 01 Jan 2026 11:00:00 UTC", Status.OK, "read"),
        ("Date: Thu, 01 Jan 2026 13:00:00 UTC", Status.PROBLEM, "from the future"),
        ("Date: Thu, 01 Jan 2026 12:01:00 UTC", Status.OK, "read"),
        ("Date: Mon, 01 Dec 2025 11:00:00 UTC\nValid-Until: Mon, 08 Dec 2025 11:00:00 UTC", Status.WARNING, "expired"),
        ("Date: nonsense", Status.OK, "read"),
    ],
)
def test_an_archive_is_judged_by_the_clock(fields, status, said):
    finding = by_the_clock("read", f"{SIGNED}Origin: Debian\n{fields}\n", NOON_S)
    assert (finding.status, said in finding.found) == (status, True)
    assert (finding.fix == "") == (status is Status.OK)


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "status"),
    [
        (20 * GIB, 10**7, Status.OK),
        (20 * GIB, 1000, Status.WARNING),
        (5 * GIB, 10**7, Status.WARNING),
        (GIB, 10**7, Status.PROBLEM),
    ],
)
def test_little_space_is_a_warning_and_less_a_problem(tmp_path, free_bytes, free_files, status):
    filled = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096, f_files=10**8, f_favail=free_files)
    assert filesystems.space("space", tmp_path / "not" / "there", lambda _: filled).status is status


def test_a_file_system_that_counts_no_files_has_enough_of_them(tmp_path):
    btrfs = SimpleNamespace(f_bavail=20 * GIB // 4096, f_frsize=4096, f_files=0, f_favail=0)
    assert filesystems.space("space", tmp_path, lambda _: btrfs).status is Status.OK


def test_a_check_that_cannot_be_made_is_a_problem_and_the_others_go_on(subject, monkeypatch):
    def broken(_):
        raise OSError("no such luck")

    def refused(_):
        raise DeborchError(ErrorCode.INTERNAL, "refused", hint="ask nicely")

    def fine(_):
        return Finding("fine", Status.OK, "works")

    monkeypatch.setattr(examination, "ALWAYS", (broken, refused, fine))
    monkeypatch.setattr(examination, "WITH_PRIVILEGES", ())
    assert [(each.name, each.status, each.fix != "") for each in examination.examine(subject)] == [
        ("broken", Status.PROBLEM, True),
        ("refused", Status.PROBLEM, True),
        ("fine", Status.OK, False),
    ]


def test_without_privileges_nothing_is_tried_that_needs_them(subject, monkeypatch):
    def fails(_):
        raise AssertionError

    monkeypatch.setattr(examination, "ALWAYS", ())
    monkeypatch.setattr(examination, "WITH_PRIVILEGES", (fails,))
    refusal = DeborchError(ErrorCode.NEEDS_ROOT, "none", hint="be root")
    assert list(examination.examine(Subject(subject.config, "trixie", refusal))) == []


def test_a_trial_runs_in_a_process_of_its_own_and_tells_how_it_went():
    def fail():
        raise OSError("refused")

    assert tried(lambda: f"{os.getpid()}").said != str(os.getpid())
    assert tried(lambda: "fine").succeeded
    assert (tried(fail).succeeded, tried(fail).said) == (False, "refused")
    assert not tried(lambda: os._exit(3)).succeeded


def test_trials_take_place_on_the_file_system_of_a_directory_that_is_not_there_yet(tmp_path):
    with scratch_directory(tmp_path / "not" / "there") as place:
        assert place.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_looks_at_every_suite_that_has_a_template():
    shipped = {path.stem for path in SHIPPED.glob("*.yaml")}
    assert {*tools.DEBIAN, *tools.UBUNTU} == shipped - {"debian", "ubuntu"}


def test_a_long_address_is_shown_whole_on_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    address = "http://archive.example/debian-mirror/dists/bookworm/InRelease"
    _show([Finding("foreign architectures", Status.OK, address)], works=True)
    lines = [line.rpartition("│")[2].strip() for line in capsys.readouterr().out.splitlines()]
    assert address in "".join(lines)
